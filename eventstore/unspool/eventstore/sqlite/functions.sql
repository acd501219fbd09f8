-- Functions that executors have registered. Release 0.1 does not have this table: it is added to its stores.

CREATE TABLE functions (
    name          TEXT NOT NULL,
    version       TEXT NOT NULL,
    queue         TEXT NOT NULL,
    input_schema  BLOB NOT NULL,
    output_schema BLOB NOT NULL,
    registered_at INTEGER NOT NULL,
    PRIMARY KEY (name, version, queue)
) WITHOUT ROWID;
