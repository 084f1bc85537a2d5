-- Login with the account's key, invitations, tokens that end by themselves, and what an account may have.

-- `quota_bytes` is null where the server's own applies. A closed account has no tokens and gets none.
ALTER TABLE accounts ADD COLUMN quota_bytes INTEGER CHECK (quota_bytes >= 0);
ALTER TABLE accounts ADD COLUMN closed_at INTEGER;

-- Null: until it is revoked.
ALTER TABLE tokens ADD COLUMN expires_at INTEGER;

CREATE INDEX tokens_by_expiry ON tokens (expires_at) WHERE expires_at IS NOT NULL;

-- The key that challenges are sealed with: every server over this store takes the challenges of all.
CREATE TABLE login_key (
    id  INTEGER PRIMARY KEY CHECK (id = 1),
    key BLOB NOT NULL CHECK (length(key) = 32)
) STRICT;

-- Challenges that a login has used, until they are too old to be used at all.
CREATE TABLE spent_challenges (
    nonce      BLOB NOT NULL PRIMARY KEY CHECK (length(nonce) = 16),
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX spent_challenges_by_expiry ON spent_challenges (expires_at);

-- An invitation's code is kept as its hash, and its row goes when an account is made with it.
CREATE TABLE invitations (
    digest     BLOB NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    label      TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
