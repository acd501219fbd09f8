"""Settings of the Redis adapter."""

from dataclasses import dataclass

from unspool.eventstore.settings import setting


@dataclass(frozen=True, slots=True)
class RedisSettings:
    """Shards and timeouts of the Redis adapter."""

    shards: int = setting(
        "UNSPOOL_SHARDS",
        0,
        "Shards of a Redis store, fixed when it is first used; 0: the store's own, 16 for a new one",
        least=0,
        most=4096,
    )
    connect_seconds: float = setting(
        "UNSPOOL_REDIS_CONNECT_SECONDS", 5.0, "How long connecting to Redis may take"
    )
    reply_seconds: float = setting(
        "UNSPOOL_REDIS_REPLY_SECONDS", 5.0, "How long Redis may take to reply before the connection is closed"
    )
    commit_seconds: float = setting(
        "UNSPOOL_REDIS_COMMIT_SECONDS", 10.0, "How long a commit is retried while Redis is unavailable"
    )
