-- What executors fetched for executions, by its hash.
CREATE TABLE texts (
    tenant TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    text   BLOB NOT NULL,
    PRIMARY KEY (tenant, sha256)
);
