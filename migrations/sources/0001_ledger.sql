-- What the sources of this machine brought, and where they stopped.

PRAGMA application_id = 0x48435352;

CREATE TABLE migration (
    version  INTEGER NOT NULL PRIMARY KEY,
    checksum BLOB    NOT NULL CHECK (length(checksum) = 32)
) STRICT;

-- What became of each item a source knows. A file has one item, so that two items never fight over a name.
CREATE TABLE item (
    source        TEXT    NOT NULL,
    item          TEXT    NOT NULL,
    folder        TEXT    NOT NULL,
    path          TEXT    NOT NULL,
    -- What the service said of the version: to ask whether it has changed.
    etag          TEXT,
    last_modified TEXT,
    said_size     INTEGER CHECK (said_size >= 0),
    mark          TEXT,
    -- The content as it was brought.
    size          INTEGER NOT NULL CHECK (size >= 0),
    hash          BLOB    NOT NULL CHECK (length(hash) = 32),
    verified      INTEGER NOT NULL CHECK (verified IN (0, 1)),
    at            INTEGER NOT NULL,
    PRIMARY KEY (source, item)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX item_path ON item (folder, path);

-- Fetches that have not come to their end. The record is the fetching library's own.
CREATE TABLE part (
    source TEXT NOT NULL,
    item   TEXT NOT NULL,
    folder TEXT NOT NULL,
    name   TEXT NOT NULL UNIQUE,
    record TEXT NOT NULL,
    PRIMARY KEY (source, item)
) STRICT, WITHOUT ROWID;

-- What was fetched whole and is on its way under a name: written before the name is given, so that a file under its
-- name is known for what it is whenever the process ends.
CREATE TABLE arrival (
    source        TEXT    NOT NULL,
    item          TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    etag          TEXT,
    last_modified TEXT,
    said_size     INTEGER CHECK (said_size >= 0),
    mark          TEXT,
    size          INTEGER NOT NULL CHECK (size >= 0),
    hash          BLOB    NOT NULL CHECK (length(hash) = 32),
    verified      INTEGER NOT NULL CHECK (verified IN (0, 1)),
    target        TEXT,
    PRIMARY KEY (source, item),
    FOREIGN KEY (source, item) REFERENCES part (source, item) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- What keeps an item from being brought, and when it is tried again.
CREATE TABLE problem (
    source  TEXT    NOT NULL,
    item    TEXT    NOT NULL,
    code    TEXT    NOT NULL,
    message TEXT    NOT NULL,
    hint    TEXT    NOT NULL,
    at      INTEGER NOT NULL,
    tries   INTEGER NOT NULL CHECK (tries > 0),
    again   INTEGER,
    PRIMARY KEY (source, item)
) STRICT, WITHOUT ROWID;

-- The last run of each source; one without an end was interrupted.
CREATE TABLE run (
    source    TEXT    NOT NULL PRIMARY KEY,
    began     INTEGER NOT NULL,
    ended     INTEGER,
    brought   INTEGER NOT NULL DEFAULT 0 CHECK (brought >= 0),
    unchanged INTEGER NOT NULL DEFAULT 0 CHECK (unchanged >= 0),
    -- How often in a row the whole run failed, why, and when it is tried again.
    failures  INTEGER NOT NULL DEFAULT 0 CHECK (failures >= 0),
    code      TEXT,
    message   TEXT,
    hint      TEXT,
    again     INTEGER
) STRICT, WITHOUT ROWID;
