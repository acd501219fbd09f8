"""The event store on Redis (6.2 and later) or Valkey."""

import time
from collections.abc import Callable

from unspool.eventstore.event_settings import EventSettings
from unspool.eventstore.redis.api_keys import RedisApiKeys
from unspool.eventstore.redis.checks import check_durability
from unspool.eventstore.redis.commits import RedisCommits
from unspool.eventstore.redis.dead_letters import RedisDeadLetters
from unspool.eventstore.redis.definitions import RedisDefinitions
from unspool.eventstore.redis.event_bus import RedisEventBus
from unspool.eventstore.redis.functions import RedisFunctions
from unspool.eventstore.redis.histories import RedisHistories
from unspool.eventstore.redis.idempotency_keys import RedisIdempotencyKeys
from unspool.eventstore.redis.indexing import RedisIndexing
from unspool.eventstore.redis.loading import RedisLoading
from unspool.eventstore.redis.operations import RedisOperations
from unspool.eventstore.redis.queues import RedisQueues
from unspool.eventstore.redis.rate_limits import RedisRateLimits
from unspool.eventstore.redis.retention import RedisRetention
from unspool.eventstore.redis.search import RedisSearch
from unspool.eventstore.redis.session import Session
from unspool.eventstore.redis.settings import RedisSettings
from unspool.eventstore.redis.sinks import RedisSinks
from unspool.eventstore.redis.sources import RedisSources
from unspool.eventstore.redis.stored_records import RedisStoredRecords
from unspool.eventstore.redis.texts import RedisTexts
from unspool.eventstore.redis.timers import RedisTimers


class RedisStore(
    RedisDefinitions,
    RedisTexts,
    RedisHistories,
    RedisLoading,
    RedisCommits,
    RedisIdempotencyKeys,
    RedisSearch,
    RedisTimers,
    RedisDeadLetters,
    RedisEventBus,
    RedisSinks,
    RedisSources,
    RedisFunctions,
    RedisRateLimits,
    RedisApiKeys,
    RedisIndexing,
    RedisRetention,
    RedisStoredRecords,
    RedisOperations,
):
    """An `EventStore` on Redis. One object serves a process, in one event loop."""

    def __init__(
        self,
        url: str,
        settings: RedisSettings,
        *,
        events: EventSettings | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Does not connect; `open` does.

        Args:
            url: `redis://HOST:PORT/DB` or `rediss://…`, with redis-py's query parameters (certificates).
            settings: shards and timeouts.
            events: settings of the event bus; the defaults if it is None.
            monotonic: clock in seconds; measures the time since the last heartbeats of other consumers.
        """
        self._session = Session(url, settings, events or EventSettings(), monotonic)
        RedisHistories.__init__(self)
        RedisCommits.__init__(self)
        RedisQueues.__init__(self)
        RedisTimers.__init__(self)
        RedisEventBus.__init__(self)
        RedisSinks.__init__(self)
        RedisIndexing.__init__(self)
        RedisRetention.__init__(self)

    async def open(self) -> None:
        """See `EventStore`."""
        await self._session.open()
        await check_durability(self._session)

    async def close(self) -> None:
        """See `EventStore`."""
        await self._close_timers()
        await self._close_bus()
        await self._close_sinks()
        await self._close_readers()
        await self._session.close()

    async def ping(self) -> None:
        """See `EventStore`."""
        await self._session.call("PING")
