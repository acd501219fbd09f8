-- The layout of a store, version 1. Times that end in `_at` are milliseconds since 1970, except `taken_at`
-- and `seen_at`: these are seconds of the machine's monotonic clock, so that a wrong wall clock takes no
-- delivery from a live consumer.

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE definitions (
    tenant     TEXT NOT NULL,
    namespace  TEXT NOT NULL,
    name       TEXT NOT NULL,
    version    TEXT NOT NULL,
    text       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, namespace, name, version)
);

CREATE TABLE executions (
    tenant             TEXT NOT NULL,
    id                 TEXT NOT NULL,
    namespace          TEXT NOT NULL,
    name               TEXT NOT NULL,
    definition_version TEXT NOT NULL,
    status             TEXT NOT NULL,
    version            INTEGER NOT NULL DEFAULT 0,
    commit_id          TEXT,
    created_at         INTEGER NOT NULL,
    started_at         INTEGER,
    ended_at           INTEGER,
    pending_input      BLOB,
    parent             BLOB,
    idempotency_key    TEXT,
    kept_until         INTEGER,
    tags               BLOB,
    PRIMARY KEY (tenant, id)
) WITHOUT ROWID;

CREATE INDEX executions_newest ON executions (tenant, created_at, id);
CREATE INDEX executions_by_status ON executions (tenant, status, created_at, id);
CREATE INDEX executions_by_workflow ON executions (tenant, namespace, name, created_at, id);

-- A row id keeps entries of many executions in the same few pages, and `number` shows what was committed since
-- the last query (the newest row is never deleted, so it only grows). The entry is the last column: a query that does
-- not need it does not read it.
CREATE TABLE history (
    number    INTEGER PRIMARY KEY,
    tenant    TEXT NOT NULL,
    execution TEXT NOT NULL,
    version   INTEGER NOT NULL,
    entry     BLOB NOT NULL,
    UNIQUE (tenant, execution, version)
);

CREATE TABLE snapshots (
    tenant    TEXT NOT NULL,
    execution TEXT NOT NULL,
    version   INTEGER NOT NULL,
    state     BLOB NOT NULL,
    PRIMARY KEY (tenant, execution)
);

-- Delivery ids are never reused (AUTOINCREMENT): a late acknowledgement must not delete another row.
CREATE TABLE inbox (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant    TEXT NOT NULL,
    execution TEXT NOT NULL,
    kind      TEXT NOT NULL,
    body      BLOB NOT NULL,
    owner     TEXT,
    taken_at  REAL,
    attempts  INTEGER NOT NULL DEFAULT 0,
    queued_at INTEGER NOT NULL DEFAULT 0
);

-- With the tenant, so that tenants can be served in turn at the same cost if one has many messages.
CREATE INDEX inbox_by_owner ON inbox (owner, tenant);

CREATE TABLE tasks (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant    TEXT NOT NULL,
    execution TEXT NOT NULL,
    run       TEXT NOT NULL,
    task      TEXT NOT NULL,
    queue     TEXT NOT NULL,
    arguments BLOB NOT NULL,
    deadline  INTEGER,
    cancelled INTEGER NOT NULL DEFAULT 0,
    owner     TEXT,
    taken_at  REAL,
    attempts  INTEGER NOT NULL DEFAULT 0,
    queued_at INTEGER NOT NULL DEFAULT 0
);

CREATE INDEX tasks_by_owner ON tasks (owner, queue, tenant);
CREATE INDEX tasks_by_run ON tasks (execution, run);

CREATE TABLE consumers (
    owner   TEXT PRIMARY KEY,
    queues  BLOB NOT NULL,
    seen_at REAL NOT NULL,
    load    TEXT NOT NULL DEFAULT 'busy',
    about   TEXT NOT NULL DEFAULT '[]'
);

CREATE TABLE timers (
    number    INTEGER PRIMARY KEY,
    tenant    TEXT NOT NULL,
    execution TEXT NOT NULL,
    id        TEXT NOT NULL,
    due_at    INTEGER NOT NULL,
    UNIQUE (tenant, execution, id)
);

CREATE INDEX timers_by_due ON timers (due_at);

CREATE TABLE dead_letters (
    number    INTEGER PRIMARY KEY AUTOINCREMENT,
    id        TEXT NOT NULL UNIQUE,
    tenant    TEXT NOT NULL,
    execution TEXT NOT NULL,
    kind      TEXT NOT NULL,
    body      BLOB NOT NULL,
    error     TEXT NOT NULL,
    traceback TEXT NOT NULL,
    attempts  INTEGER NOT NULL,
    buried_at INTEGER NOT NULL
);

CREATE INDEX dead_letters_by_tenant ON dead_letters (tenant, execution);
