-- The time of the next start of each limited rate, microseconds since 1970.
CREATE TABLE rate_limits (
    name    TEXT PRIMARY KEY,
    next_at INTEGER NOT NULL
);
