"""The event store on Redis Streams. `docs/decisions/0003-redis.md` explains its design."""

from unspool.eventstore.redis.settings import RedisSettings
from unspool.eventstore.redis.store import RedisStore

__all__ = ["RedisSettings", "RedisStore"]
