"""Limited rates: a string for each limit."""

from unspool.eventstore.rate_limits import Rate
from unspool.eventstore.redis import scripts
from unspool.eventstore.redis.keys import rate_limit
from unspool.eventstore.redis.session import Session


class RedisRateLimits:
    """The limited rates of the store."""

    _session: Session

    async def reserve_start(self, limit: str, rate: Rate, most: int) -> int | None:
        """See `RateLimits`."""
        values = (rate.interval, rate.burst, most)
        wait: int = await self._session.run(scripts.RESERVE_START, (rate_limit(limit),), values)
        return None if wait < 0 else wait
