-- A store as release 0.1.0 has written it: an execution that waits for a timer, and one whose start no worker has seen.
BEGIN TRANSACTION;
CREATE TABLE consumers (
    owner   TEXT PRIMARY KEY,
    queues  BLOB NOT NULL,
    seen_at REAL NOT NULL
);
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
CREATE TABLE definitions (
    tenant     TEXT NOT NULL,
    namespace  TEXT NOT NULL,
    name       TEXT NOT NULL,
    version    TEXT NOT NULL,
    text       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, namespace, name, version)
);
INSERT INTO "definitions" VALUES('default','shop','order','1.0.0','document: {dsl: ''1.0.3'', namespace: shop, name: order, version: ''1.0.0''}
do:
- price: {set: {price: ''${ .amount * 2 }''}}
- pause: {wait: {milliseconds: 10}}
- done: {set: {paid: ''${ .price }''}}
',1700000000000);
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
    PRIMARY KEY (tenant, id)
) WITHOUT ROWID;
INSERT INTO "executions" VALUES('default','pending','shop','order','1.0.0','pending',0,NULL,1700000000001,NULL,NULL,X'7B22616D6F756E74223A347D');
INSERT INTO "executions" VALUES('default','waiting','shop','order','1.0.0','waiting',7,'6aae968fab004c78bd4bcd7288a55af7-0',1700000000000,1795941316719,NULL,NULL);
CREATE TABLE history (
    number    INTEGER PRIMARY KEY,
    tenant    TEXT NOT NULL,
    execution TEXT NOT NULL,
    version   INTEGER NOT NULL,
    entry     BLOB NOT NULL,
    UNIQUE (tenant, execution, version)
);
INSERT INTO "history" VALUES(1,'default','waiting',7,X'38346630363531395B312C312C313739353934313331363731392C5B5B22776F726B666C6F772E73746172746564222C6E756C6C2C6E756C6C2C7B22776F726B666C6F77223A7B226E616D657370616365223A2273686F70222C226E616D65223A226F72646572222C2276657273696F6E223A22312E302E30227D2C22696E707574223A7B22616D6F756E74223A337D7D5D2C5B227461736B2E63726561746564222C222F646F2F302F7072696365222C2231222C7B22706172656E74223A2230227D5D2C5B227461736B2E73746172746564222C222F646F2F302F7072696365222C2231222C7B7D5D2C5B227461736B2E636F6D706C65746564222C222F646F2F302F7072696365222C2231222C7B226F7574707574223A7B227072696365223A367D7D5D2C5B227461736B2E63726561746564222C222F646F2F312F7061757365222C2232222C7B22706172656E74223A2230227D5D2C5B227461736B2E73746172746564222C222F646F2F312F7061757365222C2232222C7B7D5D2C5B2274696D65722E7363686564756C6564222C222F646F2F312F7061757365222C2232222C7B2274696D6572223A22322F776169742F37222C22707572706F7365223A2277616974222C226475654174223A313739353934313331363732397D5D5D5D');
CREATE TABLE inbox (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant    TEXT NOT NULL,
    execution TEXT NOT NULL,
    kind      TEXT NOT NULL,
    body      BLOB NOT NULL,
    owner     TEXT,
    taken_at  REAL,
    attempts  INTEGER NOT NULL DEFAULT 0
);
INSERT INTO "inbox" VALUES(2,'default','pending','start',X'7B22776F726B666C6F77223A5B2273686F70222C226F72646572222C22312E302E30225D2C22696E707574223A7B22616D6F756E74223A347D7D',NULL,NULL,0);
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO "meta" VALUES('layout','1');
CREATE TABLE snapshots (
    tenant    TEXT NOT NULL,
    execution TEXT NOT NULL,
    version   INTEGER NOT NULL,
    state     BLOB NOT NULL,
    PRIMARY KEY (tenant, execution)
);
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
    attempts  INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE timers (
    number    INTEGER PRIMARY KEY,
    tenant    TEXT NOT NULL,
    execution TEXT NOT NULL,
    id        TEXT NOT NULL,
    due_at    INTEGER NOT NULL,
    UNIQUE (tenant, execution, id)
);
INSERT INTO "timers" VALUES(1,'default','waiting','2/wait/7',1795941316729);
CREATE INDEX executions_newest ON executions (tenant, created_at, id);
CREATE INDEX executions_by_status ON executions (tenant, status, created_at, id);
CREATE INDEX executions_by_workflow ON executions (tenant, namespace, name, created_at, id);
CREATE INDEX inbox_by_owner ON inbox (owner);
CREATE INDEX tasks_by_owner ON tasks (owner, queue);
CREATE INDEX tasks_by_run ON tasks (execution, run);
CREATE INDEX timers_by_due ON timers (due_at);
CREATE INDEX dead_letters_by_tenant ON dead_letters (tenant, execution);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('inbox',2);
COMMIT;
PRAGMA application_id = 1433301872;
