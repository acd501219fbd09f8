-- The execution that has a key, and the version at which it ended and kept the key.
CREATE TABLE idempotency_keys (
    tenant    TEXT NOT NULL,
    digest    TEXT NOT NULL,
    execution TEXT NOT NULL,
    kept_at   INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, digest)
) WITHOUT ROWID;
