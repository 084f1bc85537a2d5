-- When the server stored its version of a conflict, by its own clock; NULL where it did not say.
ALTER TABLE conflict ADD COLUMN remote_at INTEGER;
