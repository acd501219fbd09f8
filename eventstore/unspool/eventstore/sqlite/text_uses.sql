-- Which executions may use a text, and when retention looks at it. Release 0.1 does not have these tables.

-- The executions of a workflow ('*': of any) that were created within a time.
CREATE TABLE text_uses (
    tenant   TEXT NOT NULL,
    sha256   TEXT NOT NULL,
    workflow TEXT NOT NULL,
    since    INTEGER NOT NULL,
    until    INTEGER NOT NULL,
    PRIMARY KEY (tenant, sha256, workflow)
) WITHOUT ROWID;

CREATE TABLE text_looks (
    tenant       TEXT NOT NULL,
    sha256       TEXT NOT NULL,
    look_at      INTEGER NOT NULL,
    unused_since INTEGER,
    PRIMARY KEY (tenant, sha256)
) WITHOUT ROWID;

CREATE INDEX text_looks_by_time ON text_looks (look_at);
