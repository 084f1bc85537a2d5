-- The change feed. A change of a folder's files has a number: what `folders.changes` is after it. A file's row bears the
-- number of its last change; a tombstone that of the removal, as long as the feed tells of it.

ALTER TABLE files ADD COLUMN change_seq INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tombstones ADD COLUMN change_seq INTEGER;
ALTER TABLE tombstones ADD COLUMN removed_at INTEGER NOT NULL DEFAULT 0;

-- To those who know less than this number the feed cannot tell everything.
ALTER TABLE folders ADD COLUMN feed_floor INTEGER NOT NULL DEFAULT 0;

DROP TRIGGER file_added;
DROP TRIGGER file_changed;

-- Every row was inserted once, so there are no more of them than changes.
UPDATE files SET change_seq = ranked.number
FROM (SELECT id, row_number() OVER (PARTITION BY folder_id ORDER BY id) AS number FROM files) AS ranked
WHERE ranked.id = files.id;

UPDATE folders SET feed_floor = changes;

CREATE UNIQUE INDEX files_by_change ON files (folder_id, change_seq);
CREATE UNIQUE INDEX tombstones_by_change ON tombstones (folder_id, change_seq) WHERE change_seq IS NOT NULL;
CREATE INDEX tombstones_by_age ON tombstones (removed_at) WHERE change_seq IS NOT NULL;

CREATE TRIGGER file_added AFTER INSERT ON files BEGIN
    UPDATE folders SET file_count = file_count + 1, total_bytes = total_bytes + new.size_bytes,
        changes = changes + 1, state_tag = randomblob(8), updated_at = max(updated_at, new.updated_at)
    WHERE id = new.folder_id;
    UPDATE files SET change_seq = (SELECT changes FROM folders WHERE id = new.folder_id) WHERE id = new.id;
    UPDATE tombstones SET change_seq = NULL WHERE folder_id = new.folder_id AND path_hash = new.path_hash;
END;

-- Not for a blob that only moves to another place: no client sees that.
CREATE TRIGGER file_changed AFTER UPDATE OF path_hash, salted_hash, size_bytes, revision_seq, revision_id,
    ciphertext_hash, encrypted_path, file_name, relative_path, created_at, updated_at ON files
BEGIN
    UPDATE folders SET total_bytes = total_bytes - old.size_bytes + new.size_bytes,
        changes = changes + 1, state_tag = randomblob(8), updated_at = max(updated_at, new.updated_at)
    WHERE id = new.folder_id;
    UPDATE files SET change_seq = (SELECT changes FROM folders WHERE id = new.folder_id) WHERE id = new.id;
    UPDATE tombstones SET change_seq = NULL WHERE folder_id = new.folder_id AND path_hash = new.path_hash;
END;
