-- The state of one synced folder. Tables are keyed by what is looked up and written in that order, so rows lie where
-- they are read. Unsigned 64-bit numbers that are only compared for equality (devices, inodes) are kept as the signed
-- number of the same bits; all others are checked to fit.

PRAGMA application_id = 0x48434653;

CREATE TABLE migration (
    version  INTEGER NOT NULL PRIMARY KEY,
    checksum BLOB    NOT NULL CHECK (length(checksum) = 32)
) STRICT;

-- What the database belongs to. One row per role: 'files' is the synced folder itself; other roles are for folders
-- that accompany it on the server.
CREATE TABLE folder (
    role    TEXT NOT NULL PRIMARY KEY,
    account TEXT NOT NULL,
    hash    TEXT NOT NULL CHECK (length(hash) = 16)
) STRICT, WITHOUT ROWID;

-- Devices of the account; this one is marked as own. The key is for identities that sign.
CREATE TABLE device (
    id   BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    own  INTEGER NOT NULL CHECK (own IN (0, 1)),
    name TEXT    NOT NULL,
    key  BLOB    CHECK (length(key) = 32)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX device_own ON device (own) WHERE own = 1;

CREATE TABLE meta (
    name  TEXT NOT NULL PRIMARY KEY,
    value ANY  NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE local (
    path      TEXT    NOT NULL PRIMARY KEY,
    hash      BLOB    NOT NULL CHECK (length(hash) = 32),
    size      INTEGER NOT NULL CHECK (size >= 0),
    mtime     INTEGER NOT NULL,
    ctime     INTEGER NOT NULL,
    device    INTEGER NOT NULL,
    inode     INTEGER NOT NULL,
    disk_path BLOB,
    hashed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE remote (
    path     TEXT    NOT NULL PRIMARY KEY,
    hash     BLOB    NOT NULL CHECK (length(hash) = 32),
    size     INTEGER NOT NULL CHECK (size >= 0),
    file_id  BLOB    NOT NULL CHECK (length(file_id) = 32),
    seq      INTEGER NOT NULL CHECK (seq >= 0),
    revision BLOB    NOT NULL CHECK (length(revision) = 32)
) STRICT, WITHOUT ROWID;

CREATE TABLE synced (
    path     TEXT    NOT NULL PRIMARY KEY,
    hash     BLOB    NOT NULL CHECK (length(hash) = 32),
    size     INTEGER NOT NULL CHECK (size >= 0),
    file_id  BLOB    NOT NULL CHECK (length(file_id) = 32),
    seq      INTEGER NOT NULL CHECK (seq >= 0),
    revision BLOB    NOT NULL CHECK (length(revision) = 32),
    device   INTEGER,
    inode    INTEGER,
    CHECK ((device IS NULL) = (inode IS NULL))
) STRICT, WITHOUT ROWID;

-- The paths the three trees do not agree on, or whose listed revision contradicts a revision mark.
CREATE TABLE changed (
    path TEXT NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- Files and bytes per tree: in all (top = ''), and below each top-level directory. Bytes count modulo 2^64.
CREATE TABLE totals (
    tree  TEXT    NOT NULL CHECK (tree IN ('local', 'remote', 'synced')),
    top   TEXT    NOT NULL,
    files INTEGER NOT NULL CHECK (files > 0),
    bytes INTEGER NOT NULL,
    PRIMARY KEY (tree, top)
) STRICT, WITHOUT ROWID;

-- The revision mark of every file id: the highest revision seen and the hashes of the last ones, newest first. Ended:
-- the deletion of that file was agreed, so its next version starts a new life.
CREATE TABLE seen (
    file_id  BLOB    NOT NULL PRIMARY KEY CHECK (length(file_id) = 32),
    seq      INTEGER NOT NULL CHECK (seq >= 0),
    revision BLOB    NOT NULL CHECK (length(revision) = 32),
    hashes   BLOB    NOT NULL CHECK (length(hashes) BETWEEN 32 AND 256 AND length(hashes) % 32 = 0),
    ended    INTEGER NOT NULL CHECK (ended IN (0, 1))
) STRICT, WITHOUT ROWID;

CREATE TABLE upload_hint (
    path        TEXT    NOT NULL PRIMARY KEY,
    size        INTEGER NOT NULL CHECK (size >= 0),
    mtime       INTEGER NOT NULL,
    ctime       INTEGER NOT NULL,
    device      INTEGER NOT NULL,
    inode       INTEGER NOT NULL,
    nonce       BLOB    NOT NULL CHECK (length(nonce) = 24),
    blob_hash   BLOB    NOT NULL CHECK (length(blob_hash) = 32),
    salted_hash BLOB    NOT NULL CHECK (length(salted_hash) = 32),
    session     TEXT    NOT NULL,
    part_size   INTEGER NOT NULL CHECK (part_size > 0),
    expires     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE download_hint (
    path        TEXT    NOT NULL PRIMARY KEY,
    file_id     BLOB    NOT NULL CHECK (length(file_id) = 32),
    seq         INTEGER NOT NULL CHECK (seq >= 0),
    revision    BLOB    NOT NULL CHECK (length(revision) = 32),
    base_nonce  BLOB    NOT NULL CHECK (length(base_nonce) = 24),
    frames_done INTEGER NOT NULL CHECK (frames_done >= 0),
    staged      TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE conflict (
    id          INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    path        TEXT    NOT NULL,
    kind        TEXT    NOT NULL,
    copy        TEXT,
    at          INTEGER NOT NULL,
    local_hash  BLOB    CHECK (length(local_hash) = 32),
    local_size  INTEGER CHECK (local_size >= 0),
    remote_hash BLOB    CHECK (length(remote_hash) = 32),
    remote_size INTEGER CHECK (remote_size >= 0),
    seq         INTEGER CHECK (seq >= 0),
    revision    BLOB    CHECK (length(revision) = 32),
    device      TEXT    NOT NULL,
    decision    TEXT,
    CHECK ((local_hash IS NULL) = (local_size IS NULL)),
    CHECK ((remote_hash IS NULL) = (remote_size IS NULL) AND (remote_hash IS NULL) = (seq IS NULL)
           AND (seq IS NULL) = (revision IS NULL))
) STRICT;
CREATE INDEX conflict_path ON conflict (path);

-- Scope: a top-level directory, or '' for the whole folder. Examples are paths joined by NUL.
CREATE TABLE hold (
    id       INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    kind     TEXT    NOT NULL,
    scope    TEXT    NOT NULL,
    count    INTEGER NOT NULL CHECK (count >= 0),
    total    INTEGER NOT NULL CHECK (total >= 0),
    examples TEXT    NOT NULL,
    at       INTEGER NOT NULL,
    accepted INTEGER,
    UNIQUE (kind, scope)
) STRICT;

CREATE TABLE log (
    id   INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    at   INTEGER NOT NULL,
    kind TEXT    NOT NULL,
    path TEXT,
    text TEXT    NOT NULL
) STRICT;
