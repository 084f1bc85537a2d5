-- Blobs lie in objects that are written once, under names that are never used again. Until here each lay in an object
-- named by its hash.

ALTER TABLE files ADD COLUMN object BLOB CHECK (length(object) IN (16, 32));
ALTER TABLE files ADD COLUMN object_at INTEGER NOT NULL DEFAULT 0 CHECK (object_at >= 0);
ALTER TABLE files ADD COLUMN blob_bytes INTEGER NOT NULL DEFAULT 0 CHECK (blob_bytes >= 0);

DROP TRIGGER file_changed;

UPDATE files SET object = ciphertext_hash,
    blob_bytes = 28 + 20 * max(1, (size_bytes + 262143) / 262144) + size_bytes;

CREATE INDEX files_by_object ON files (object, object_at);

-- Objects that a row has stopped pointing to, and since when. Others may still point there, if it is a pack.
CREATE TABLE unused_objects (
    object BLOB NOT NULL PRIMARY KEY CHECK (length(object) IN (16, 32)),
    since  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- As before, but for a blob that only moves to another place: no client sees that.
CREATE TRIGGER file_changed AFTER UPDATE ON files
WHEN new.object IS old.object AND new.object_at IS old.object_at OR new.revision_id IS NOT old.revision_id BEGIN
    UPDATE folders SET total_bytes = total_bytes - old.size_bytes + new.size_bytes,
        changes = changes + 1, state_tag = randomblob(8), updated_at = max(updated_at, new.updated_at)
    WHERE id = new.folder_id;
END;

CREATE TRIGGER object_left AFTER UPDATE OF object ON files WHEN new.object IS NOT old.object BEGIN
    INSERT INTO unused_objects (object, since) VALUES (old.object, unixepoch())
    ON CONFLICT DO UPDATE SET since = excluded.since;
END;

CREATE TRIGGER object_left_with_its_row AFTER DELETE ON files BEGIN
    INSERT INTO unused_objects (object, since) VALUES (old.object, unixepoch())
    ON CONFLICT DO UPDATE SET since = excluded.since;
END;
