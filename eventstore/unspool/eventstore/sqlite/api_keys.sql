-- Keys of the API's callers, and their sessions. Release 0.1 does not have these tables.

CREATE TABLE api_keys (
    id         TEXT PRIMARY KEY,
    created_at INTEGER NOT NULL,
    body       BLOB NOT NULL
);

CREATE TABLE api_sessions (
    id         TEXT PRIMARY KEY,
    expires_at INTEGER NOT NULL,
    body       BLOB NOT NULL
);
