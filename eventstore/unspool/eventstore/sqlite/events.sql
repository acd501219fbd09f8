-- The tables of the event bus. Release 0.1 does not have them: they are added to its stores.

-- Positions are never reused (AUTOINCREMENT): a reader continues after the last position it has seen.
CREATE TABLE bus_events (
    position     INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant       TEXT NOT NULL,
    event        BLOB NOT NULL,
    published_at INTEGER NOT NULL
);

CREATE INDEX bus_events_by_tenant ON bus_events (tenant);

-- `digest` is of the source and the id of an event that was published lately.
CREATE TABLE bus_ids (
    tenant       TEXT NOT NULL,
    digest       BLOB NOT NULL,
    published_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, digest)
) WITHOUT ROWID;

CREATE INDEX bus_ids_by_time ON bus_ids (published_at);

-- All events up to `matched` are matched with all subscriptions. While the event after it is sent in pieces, it was sent
-- to the subscriptions up to number `sent_to`.
CREATE TABLE buses (
    tenant         TEXT PRIMARY KEY,
    newest         INTEGER NOT NULL DEFAULT 0,
    matched        INTEGER NOT NULL DEFAULT 0,
    sent_to        INTEGER NOT NULL DEFAULT 0,
    holder         TEXT,
    shapes_version INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

CREATE INDEX buses_unmatched ON buses (tenant) WHERE newest > matched;

-- The runs that have got the event that is sent in pieces: a run may have a new subscription meanwhile.
CREATE TABLE bus_receivers (
    tenant    TEXT NOT NULL,
    execution TEXT NOT NULL,
    run       TEXT NOT NULL,
    PRIMARY KEY (tenant, execution, run)
) WITHOUT ROWID;

-- Numbers are never reused, so an event that is sent in pieces reaches subscriptions that are opened meanwhile.
CREATE TABLE subscriptions (
    number    INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant    TEXT NOT NULL,
    execution TEXT NOT NULL,
    run       TEXT NOT NULL,
    UNIQUE (tenant, execution, run)
);

CREATE TABLE subscription_keys (
    tenant TEXT NOT NULL,
    key    TEXT NOT NULL,
    number INTEGER NOT NULL,
    shape  TEXT NOT NULL,
    PRIMARY KEY (tenant, key, number, shape)
) WITHOUT ROWID;

CREATE INDEX subscription_keys_by_number ON subscription_keys (number);

-- The shapes of the subscriptions of a tenant, each with the number of rows of `subscription_keys` that have it.
CREATE TABLE shapes (
    tenant TEXT NOT NULL,
    shape  TEXT NOT NULL,
    keys   INTEGER NOT NULL,
    PRIMARY KEY (tenant, shape)
) WITHOUT ROWID;

-- The runs that look back: each is still to be offered the events after one position up to another one, if they were
-- published since a time, but not those that its execution has consumed up to a place. Notes of earlier releases have no
-- place: nothing is offered that was consumed.
CREATE TABLE look_backs (
    tenant    TEXT NOT NULL,
    execution TEXT NOT NULL,
    run       TEXT NOT NULL,
    after     INTEGER NOT NULL,
    upto      INTEGER NOT NULL,
    since     INTEGER NOT NULL,
    place     INTEGER,
    PRIMARY KEY (tenant, execution, run)
) WITHOUT ROWID;

-- The events that executions consumed lately, by the digest of source and id. The places of an execution increase with its
-- version; it has the first one of an event that is consumed several times.
CREATE TABLE accepted_events (
    tenant      TEXT NOT NULL,
    execution   TEXT NOT NULL,
    digest      BLOB NOT NULL,
    accepted_at INTEGER NOT NULL,
    place       INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, execution, digest)
) WITHOUT ROWID;

CREATE INDEX accepted_events_by_time ON accepted_events (tenant, accepted_at);

-- From when on `accepted_events` has all events of a tenant: before, some were not noted, or are forgotten.
CREATE TABLE accepted_from (
    tenant TEXT PRIMARY KEY,
    since  INTEGER NOT NULL
) WITHOUT ROWID;

-- The `event` messages of an execution, in order.
CREATE INDEX inbox_events ON inbox (tenant, execution, id) WHERE kind = 'event';
