-- What is known of names in plaintext, for browsing, searching and counting; and blobs that their owner published.

-- `directory` has no slash at its end and is '' at the root; null where the server does not know the path. `extension`
-- and `search_name` are in lower case.
ALTER TABLE files ADD COLUMN directory TEXT;
ALTER TABLE files ADD COLUMN extension TEXT;
ALTER TABLE files ADD COLUMN search_name TEXT;

UPDATE files SET
    directory = rtrim(rtrim(relative_path, replace(relative_path, '/', '')), '/'),
    search_name = lower(coalesce(relative_path, file_name))
WHERE relative_path IS NOT NULL OR file_name IS NOT NULL;

UPDATE files SET extension = (
    SELECT CASE WHEN length(stem) > 1 AND length(last) > length(stem) THEN substr(last, length(stem) + 1) END
    FROM (SELECT last, rtrim(last, replace(last, '.', '')) AS stem FROM (
        SELECT substr(files.search_name, iif(coalesce(files.directory, '') = '', 1, length(files.directory) + 2)) AS last
    ))
) WHERE search_name IS NOT NULL;

CREATE INDEX files_by_directory ON files (folder_id, directory, size_bytes) WHERE directory IS NOT NULL;
CREATE INDEX files_by_extension ON files (folder_id, extension, size_bytes) WHERE extension IS NOT NULL;

-- Finds every name that holds a text of three characters or more.
CREATE VIRTUAL TABLE names USING fts5 (
    name, content = '', contentless_delete = 1, tokenize = 'trigram case_sensitive 1'
);
INSERT INTO names (rowid, name) SELECT id, search_name FROM files WHERE search_name IS NOT NULL;

CREATE TRIGGER name_added AFTER INSERT ON files WHEN new.search_name IS NOT NULL BEGIN
    INSERT INTO names (rowid, name) VALUES (new.id, new.search_name);
END;

CREATE TRIGGER name_changed AFTER UPDATE OF search_name ON files WHEN new.search_name IS NOT old.search_name BEGIN
    DELETE FROM names WHERE rowid = old.id AND old.search_name IS NOT NULL;
    INSERT INTO names (rowid, name) SELECT new.id, new.search_name WHERE new.search_name IS NOT NULL;
END;

CREATE TRIGGER name_removed AFTER DELETE ON files WHEN old.search_name IS NOT NULL BEGIN
    DELETE FROM names WHERE rowid = old.id;
END;

-- A publication ends with the content it was made for.
CREATE TABLE publications (
    file_id         INTEGER PRIMARY KEY REFERENCES files (id) ON DELETE CASCADE,
    ciphertext_hash BLOB NOT NULL CHECK (length(ciphertext_hash) = 32),
    published_at    INTEGER NOT NULL
) STRICT;

CREATE INDEX publications_by_blob ON publications (ciphertext_hash);

CREATE TRIGGER content_changed AFTER UPDATE OF ciphertext_hash ON files
WHEN new.ciphertext_hash IS NOT old.ciphertext_hash BEGIN
    DELETE FROM publications WHERE file_id = old.id;
END;
