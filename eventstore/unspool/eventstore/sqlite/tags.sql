-- What executions are searched by besides their status and workflow. Release 0.1 does not have these.

CREATE TABLE execution_tags (
    tenant     TEXT NOT NULL,
    name       TEXT NOT NULL,
    value      TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    id         TEXT NOT NULL,
    PRIMARY KEY (tenant, name, value, created_at, id)
) WITHOUT ROWID;

-- The parent is a JSON array that begins with the id of its execution.
CREATE INDEX executions_by_parent ON executions (tenant, json_extract(CAST(parent AS TEXT), '$[0]'), created_at, id)
    WHERE parent IS NOT NULL;
