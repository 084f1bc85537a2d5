-- Accounts, tokens, folders, files and upload sessions. Times are Unix seconds.
--
-- A transaction that changes files locks their folder's row first, and no other folder's: within a folder changes have one
-- order, between folders nobody waits. It never locks an account's row.

-- Finds every name that holds a text.
CREATE EXTENSION IF NOT EXISTS pg_trgm;

-- `quota_bytes` is null where the server's own applies. A closed account has no tokens and gets none.
CREATE TABLE accounts (
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ss58        TEXT COLLATE "C" NOT NULL UNIQUE,
    created_at  BIGINT NOT NULL,
    quota_bytes BIGINT CHECK (quota_bytes >= 0),
    closed_at   BIGINT
);

-- A token's secret is kept as its hash; `selector` is public and finds the row. Without `expires_at` it lasts until it is
-- revoked.
CREATE TABLE tokens (
    selector   BYTEA NOT NULL PRIMARY KEY CHECK (length(selector) = 8),
    account_id BIGINT NOT NULL REFERENCES accounts (id),
    digest     BYTEA NOT NULL CHECK (length(digest) = 32),
    label      TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT
);

CREATE INDEX tokens_by_account ON tokens (account_id);
CREATE INDEX tokens_by_expiry ON tokens (expires_at) WHERE expires_at IS NOT NULL;

-- The key that challenges are sealed with: every server over this store takes the challenges of all.
CREATE TABLE login_key (
    id  BIGINT PRIMARY KEY CHECK (id = 1),
    key BYTEA NOT NULL CHECK (length(key) = 32)
);

-- Challenges that a login has used, until they are too old to be used at all.
CREATE TABLE spent_challenges (
    nonce      BYTEA NOT NULL PRIMARY KEY CHECK (length(nonce) = 16),
    expires_at BIGINT NOT NULL
);

CREATE INDEX spent_challenges_by_expiry ON spent_challenges (expires_at);

-- An invitation's code is kept as its hash, and its row goes when an account is made with it.
CREATE TABLE invitations (
    digest     BYTEA NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    label      TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

-- A folder's row comes with its first file or its registration and is never deleted: `changes` and `state_tag` must not
-- start again while a client remembers them. `label` is null while the folder is not registered.
CREATE TABLE folders (
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id  BIGINT NOT NULL REFERENCES accounts (id),
    hash        BYTEA NOT NULL CHECK (length(hash) = 8),
    label       TEXT,
    device_name TEXT,
    file_count  BIGINT NOT NULL DEFAULT 0 CHECK (file_count >= 0),
    total_bytes BIGINT NOT NULL DEFAULT 0 CHECK (total_bytes >= 0),
    changes     BIGINT NOT NULL DEFAULT 0,
    -- To those who know less than this number the feed cannot tell everything.
    feed_floor  BIGINT NOT NULL DEFAULT 0,
    state_tag   BYTEA NOT NULL DEFAULT substring(uuid_send(gen_random_uuid()) FOR 8) CHECK (length(state_tag) = 8),
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    UNIQUE (account_id, hash)
) WITH (fillfactor = 50);

-- The current revision of each file. `change_seq` is the number of its last change: what `folders.changes` was after it.
-- `id` is the order of the listing: it grows, so a new file never moves an old one.
-- The blob is `blob_bytes` bytes of `object` from `object_at`. `directory` has no slash at its end and is '' at the root;
-- null where the server does not know the path. `extension` and `search_name` are in lower case; all three follow from the
-- names, and are ordered by their bytes.
CREATE TABLE files (
    id              BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    folder_id       BIGINT NOT NULL REFERENCES folders (id),
    path_hash       BYTEA NOT NULL CHECK (length(path_hash) = 32),
    salted_hash     BYTEA NOT NULL CHECK (length(salted_hash) = 32),
    size_bytes      BIGINT NOT NULL CHECK (size_bytes >= 0),
    revision_seq    BIGINT NOT NULL CHECK (revision_seq >= 1),
    revision_id     BYTEA NOT NULL CHECK (length(revision_id) = 32),
    ciphertext_hash BYTEA NOT NULL CHECK (length(ciphertext_hash) = 32),
    encrypted_path  BYTEA NOT NULL,
    file_name       TEXT,
    relative_path   TEXT,
    source          TEXT,
    object          BYTEA NOT NULL CHECK (length(object) IN (16, 32)),
    object_at       BIGINT NOT NULL CHECK (object_at >= 0),
    blob_bytes      BIGINT NOT NULL CHECK (blob_bytes >= 0),
    directory       TEXT COLLATE "C",
    extension       TEXT COLLATE "C",
    search_name     TEXT COLLATE "C",
    change_seq      BIGINT NOT NULL,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    UNIQUE (folder_id, path_hash)
);

CREATE INDEX files_in_order ON files (folder_id, id);
CREATE INDEX files_by_blob ON files (ciphertext_hash);
CREATE INDEX files_by_object ON files (object, object_at, id);
CREATE INDEX files_by_change ON files (folder_id, change_seq);
CREATE INDEX files_by_directory ON files (folder_id, directory) WHERE directory IS NOT NULL;
CREATE INDEX files_by_extension ON files (folder_id, extension) WHERE extension IS NOT NULL;
CREATE INDEX files_by_name ON files USING gin (search_name gin_trgm_ops) WHERE search_name IS NOT NULL;

-- A publication ends with the content it was made for.
CREATE TABLE publications (
    file_id         BIGINT PRIMARY KEY REFERENCES files (id) ON DELETE CASCADE,
    ciphertext_hash BYTEA NOT NULL CHECK (length(ciphertext_hash) = 32),
    published_at    BIGINT NOT NULL
);

CREATE INDEX publications_by_blob ON publications (ciphertext_hash);

-- The last sequence number of a path that has no file now. A file renamed onto the path continues from it, so that a
-- client that remembers the path's highest number does not take the rename for a rollback. `change_seq` is the number of
-- the removal, as long as the feed tells of it.
CREATE TABLE tombstones (
    folder_id  BIGINT NOT NULL REFERENCES folders (id),
    path_hash  BYTEA NOT NULL CHECK (length(path_hash) = 32),
    last_seq   BIGINT NOT NULL,
    change_seq BIGINT,
    removed_at BIGINT NOT NULL,
    PRIMARY KEY (folder_id, path_hash)
);

CREATE INDEX tombstones_by_change ON tombstones (folder_id, change_seq) WHERE change_seq IS NOT NULL;
CREATE INDEX tombstones_by_age ON tombstones (removed_at) WHERE change_seq IS NOT NULL;

-- The last three columns are null while chunks are received; after the finalize they hold what it answered.
CREATE TABLE sessions (
    id              BYTEA NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    account_id      BIGINT NOT NULL REFERENCES accounts (id),
    manifest        TEXT NOT NULL,
    chunk_count     BIGINT NOT NULL,
    chunk_size      BIGINT NOT NULL,
    ciphertext_size BIGINT NOT NULL,
    created_at      BIGINT NOT NULL,
    expires_at      BIGINT NOT NULL,
    revision_id     BYTEA,
    file_created_at BIGINT,
    file_updated_at BIGINT
);

CREATE INDEX sessions_by_account ON sessions (account_id);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

CREATE TABLE session_chunks (
    session_id  BYTEA NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    chunk_index BIGINT NOT NULL,
    PRIMARY KEY (session_id, chunk_index)
);

-- Objects that a row has stopped pointing to, and since when. Others may still point there, if it is a pack.
CREATE TABLE unused_objects (
    object BYTEA NOT NULL PRIMARY KEY CHECK (length(object) IN (16, 32)),
    since  BIGINT NOT NULL
);

-- Counts, the numbers of changes and the state tag follow the rows by themselves, and so do the marks of objects; no
-- statement can forget them. An INSERT with ON CONFLICT would count twice: the folder is locked, and who writes knows
-- whether there is a row.
CREATE FUNCTION file_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE folders SET file_count = file_count + 1, total_bytes = total_bytes + NEW.size_bytes, changes = changes + 1,
        state_tag = substring(uuid_send(gen_random_uuid()) FOR 8), updated_at = greatest(updated_at, NEW.updated_at)
    WHERE id = NEW.folder_id RETURNING changes INTO NEW.change_seq;
    UPDATE tombstones SET change_seq = NULL
    WHERE folder_id = NEW.folder_id AND path_hash = NEW.path_hash AND change_seq IS NOT NULL;
    RETURN NEW;
END $$;

CREATE TRIGGER file_added BEFORE INSERT ON files FOR EACH ROW EXECUTE FUNCTION file_added();

CREATE FUNCTION file_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- A blob that only moves to another place is no change: no client sees that.
    IF NEW.revision_id = OLD.revision_id AND (NEW.object, NEW.object_at) <> (OLD.object, OLD.object_at) THEN
        RETURN NEW;
    END IF;
    UPDATE folders SET total_bytes = total_bytes - OLD.size_bytes + NEW.size_bytes, changes = changes + 1,
        state_tag = substring(uuid_send(gen_random_uuid()) FOR 8), updated_at = greatest(updated_at, NEW.updated_at)
    WHERE id = NEW.folder_id RETURNING changes INTO NEW.change_seq;
    UPDATE tombstones SET change_seq = NULL
    WHERE folder_id = NEW.folder_id AND path_hash = NEW.path_hash AND change_seq IS NOT NULL;
    IF NEW.ciphertext_hash <> OLD.ciphertext_hash THEN
        DELETE FROM publications WHERE file_id = NEW.id;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER file_changed BEFORE UPDATE ON files FOR EACH ROW EXECUTE FUNCTION file_changed();

CREATE FUNCTION objects_left() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO unused_objects (object, since)
    SELECT DISTINCT o.object, extract(epoch FROM now())::bigint
    FROM new_rows n JOIN old_rows o ON o.id = n.id WHERE n.object <> o.object ORDER BY o.object
    ON CONFLICT (object) DO UPDATE SET since = excluded.since;
    RETURN NULL;
END $$;

CREATE TRIGGER objects_left AFTER UPDATE ON files REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION objects_left();

-- One update for each folder a statement touches, however many rows. The numbers of removals are their tombstones'.
CREATE FUNCTION files_removed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE folders f SET file_count = f.file_count - d.files, total_bytes = f.total_bytes - d.bytes,
        changes = f.changes + d.files, state_tag = substring(uuid_send(gen_random_uuid()) FOR 8)
    FROM (SELECT folder_id, count(*) AS files, sum(size_bytes)::bigint AS bytes FROM old_rows GROUP BY folder_id) d
    WHERE f.id = d.folder_id;
    INSERT INTO unused_objects (object, since)
    SELECT DISTINCT object, extract(epoch FROM now())::bigint FROM old_rows ORDER BY object
    ON CONFLICT (object) DO UPDATE SET since = excluded.since;
    RETURN NULL;
END $$;

CREATE TRIGGER files_removed AFTER DELETE ON files REFERENCING OLD TABLE AS old_rows
FOR EACH STATEMENT EXECUTE FUNCTION files_removed();
