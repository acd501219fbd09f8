-- The figures of sources of events. Release 0.1 does not have this table: it is added to its stores.

CREATE TABLE sources (
    name          TEXT PRIMARY KEY,
    seen_at       INTEGER NOT NULL,
    published     INTEGER NOT NULL,
    refused       INTEGER NOT NULL,
    failing_since INTEGER,
    failure       TEXT NOT NULL
) WITHOUT ROWID;
