-- What deletes ended executions needs. Release 0.1 does not have it: it is added to its stores.

-- The ended executions by the time when they are due for a look: when they ended, or a later time.
CREATE INDEX executions_by_end ON executions (coalesce(kept_until, ended_at)) WHERE ended_at IS NOT NULL;

-- Executions that are deleted, except the rest of a long history.
CREATE TABLE dropped (
    tenant    TEXT NOT NULL,
    execution TEXT NOT NULL,
    PRIMARY KEY (tenant, execution)
) WITHOUT ROWID;
