"""Limited rates: a table."""

from typing import Final

from unspool.eventstore.rate_limits import Rate
from unspool.eventstore.sqlite.connection_thread import Transaction
from unspool.eventstore.sqlite.mixin import StoreMixin

_NEXT: Final = "SELECT next_at FROM rate_limits WHERE name = ?"
_PUT: Final = "INSERT INTO rate_limits VALUES (?, ?) ON CONFLICT DO UPDATE SET next_at = excluded.next_at"


class SqliteRateLimits(StoreMixin):
    """The limited rates of the store."""

    async def reserve_start(self, limit: str, rate: Rate, most: int) -> int | None:
        """See `RateLimits`."""

        def reserve(transaction: Transaction) -> int | None:
            now = self._database.clock.now() * 1000
            row = transaction.execute(_NEXT, (limit,)).fetchone()
            even = max(row[0] if row else 0, now)
            wait = max(0, even - (rate.burst - 1) * rate.interval - now)
            if wait > most:
                return None
            transaction.execute(_PUT, (limit, even + rate.interval))
            return wait

        return await self._database.write(reserve)
