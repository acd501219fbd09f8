-- The sinks of published events. Release 0.1 does not have these tables: they are added to its stores.

CREATE TABLE sinks (
    name    TEXT PRIMARY KEY,
    kept_at INTEGER NOT NULL
) WITHOUT ROWID;

-- A sink has passed all events of a tenant up to `position`, or none if there is no row.
CREATE TABLE sink_positions (
    tenant        TEXT NOT NULL,
    name          TEXT NOT NULL,
    position      INTEGER NOT NULL DEFAULT 0,
    holder        TEXT,
    sent          INTEGER NOT NULL DEFAULT 0,
    refused       INTEGER NOT NULL DEFAULT 0,
    dropped       INTEGER NOT NULL DEFAULT 0,
    failures      INTEGER NOT NULL DEFAULT 0,
    failing_since INTEGER,
    failure       TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (tenant, name)
) WITHOUT ROWID;
