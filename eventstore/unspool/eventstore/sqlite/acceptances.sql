-- Which executions accepted which events lately, by the digest of source and id. Release 0.1 does not have this table.

CREATE TABLE acceptances (
    tenant    TEXT NOT NULL,
    number    INTEGER NOT NULL,
    digest    BLOB NOT NULL,
    execution TEXT NOT NULL,
    PRIMARY KEY (tenant, number)
) WITHOUT ROWID;
