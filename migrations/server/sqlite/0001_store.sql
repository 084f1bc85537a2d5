-- Accounts, tokens, folders, files and upload sessions. Times are Unix seconds.

CREATE TABLE accounts (
    id         INTEGER PRIMARY KEY,
    ss58       TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
) STRICT;

-- A token's secret is kept as its hash; `selector` is public and finds the row.
CREATE TABLE tokens (
    selector   BLOB NOT NULL PRIMARY KEY CHECK (length(selector) = 8),
    account_id INTEGER NOT NULL REFERENCES accounts (id),
    digest     BLOB NOT NULL CHECK (length(digest) = 32),
    label      TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX tokens_by_account ON tokens (account_id);

-- A folder's row comes with its first file or its registration and is never deleted: `changes` and `state_tag` must not
-- start again while a client remembers them. `label` is null while the folder is not registered.
CREATE TABLE folders (
    id          INTEGER PRIMARY KEY,
    account_id  INTEGER NOT NULL REFERENCES accounts (id),
    hash        BLOB NOT NULL CHECK (length(hash) = 8),
    label       TEXT,
    device_name TEXT,
    file_count  INTEGER NOT NULL DEFAULT 0 CHECK (file_count >= 0),
    total_bytes INTEGER NOT NULL DEFAULT 0 CHECK (total_bytes >= 0),
    changes     INTEGER NOT NULL DEFAULT 0,
    state_tag   BLOB NOT NULL DEFAULT (randomblob(8)) CHECK (length(state_tag) = 8),
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    UNIQUE (account_id, hash)
) STRICT;

-- The current revision of each file. `id` is the order of the listing: it grows, so a new file never moves an old one.
CREATE TABLE files (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    folder_id       INTEGER NOT NULL REFERENCES folders (id),
    path_hash       BLOB NOT NULL CHECK (length(path_hash) = 32),
    salted_hash     BLOB NOT NULL CHECK (length(salted_hash) = 32),
    size_bytes      INTEGER NOT NULL CHECK (size_bytes >= 0),
    revision_seq    INTEGER NOT NULL CHECK (revision_seq >= 1),
    revision_id     BLOB NOT NULL CHECK (length(revision_id) = 32),
    ciphertext_hash BLOB NOT NULL CHECK (length(ciphertext_hash) = 32),
    encrypted_path  BLOB NOT NULL,
    file_name       TEXT,
    relative_path   TEXT,
    source          TEXT,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    UNIQUE (folder_id, path_hash)
) STRICT;

CREATE INDEX files_in_order ON files (folder_id, id);
CREATE INDEX files_by_blob ON files (ciphertext_hash);

-- The last sequence number of a path that has no file now. A file renamed onto the path continues from it, so that a
-- client that remembers the path's highest number does not take the rename for a rollback.
CREATE TABLE tombstones (
    folder_id INTEGER NOT NULL REFERENCES folders (id),
    path_hash BLOB NOT NULL CHECK (length(path_hash) = 32),
    last_seq  INTEGER NOT NULL,
    PRIMARY KEY (folder_id, path_hash)
) STRICT, WITHOUT ROWID;

-- The last three columns are null while chunks are received; after the finalize they hold what it answered.
CREATE TABLE sessions (
    id              BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    account_id      INTEGER NOT NULL REFERENCES accounts (id),
    manifest        TEXT NOT NULL,
    chunk_count     INTEGER NOT NULL,
    chunk_size      INTEGER NOT NULL,
    ciphertext_size INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    revision_id     BLOB,
    file_created_at INTEGER,
    file_updated_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_by_account ON sessions (account_id);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

CREATE TABLE session_chunks (
    session_id  BLOB NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    chunk_index INTEGER NOT NULL,
    PRIMARY KEY (session_id, chunk_index)
) STRICT, WITHOUT ROWID;

-- Counts and the state tag follow the rows by themselves; no statement can forget them.
CREATE TRIGGER file_added AFTER INSERT ON files BEGIN
    UPDATE folders SET file_count = file_count + 1, total_bytes = total_bytes + new.size_bytes,
        changes = changes + 1, state_tag = randomblob(8), updated_at = max(updated_at, new.updated_at)
    WHERE id = new.folder_id;
END;

CREATE TRIGGER file_changed AFTER UPDATE ON files BEGIN
    UPDATE folders SET total_bytes = total_bytes - old.size_bytes + new.size_bytes,
        changes = changes + 1, state_tag = randomblob(8), updated_at = max(updated_at, new.updated_at)
    WHERE id = new.folder_id;
END;

CREATE TRIGGER file_removed AFTER DELETE ON files BEGIN
    UPDATE folders SET file_count = file_count - 1, total_bytes = total_bytes - old.size_bytes,
        changes = changes + 1, state_tag = randomblob(8)
    WHERE id = old.folder_id;
END;
