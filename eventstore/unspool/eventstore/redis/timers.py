"""Timers: in each shard a sorted set of the messages that they send."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final

from unspool.eventstore.records import WORKERS, Fired
from unspool.eventstore.redis import keys, scripts
from unspool.eventstore.redis.keys import Shard
from unspool.eventstore.redis.notifications import Watch
from unspool.eventstore.redis.session import Session

_SHARDS_A_CALL: Final = 64
"""Shards in one call, at most, so that other clients are served in between."""


class RedisTimers:
    """The timers of the store."""

    _session: Session

    def __init__(self) -> None:
        self._timer_watch: Watch | None = None
        self._timer_watching = AsyncExitStack()
        self._first_shards = 0

    async def fire_due_timers(self, limit: int = 100) -> Fired:
        """See `Timers`."""
        # Watches before it reads, so that no timer set in between is missed.
        (await self._watch_timers()).forget()
        shards = self._session.keys.all_shards(await self._session.tenants(fresh=True))
        # Rotates the first shard, so that many timers of one tenant do not delay the others.
        self._first_shards = (self._first_shards + 1) % len(shards)
        shards = shards[self._first_shards :] + shards[: self._first_shards]
        fired = Fired(0, None)
        for at in range(0, len(shards), _SHARDS_A_CALL):
            fired = _both(fired, await self._fire(shards[at : at + _SHARDS_A_CALL], limit - fired.count))
        return fired

    async def wait_for_timers(self, seconds: float) -> None:
        """See `Timers`."""
        watch = await self._watch_timers()
        await watch.changed(seconds)

    async def now(self) -> int:
        """See `Timers`."""
        whole, micro = await self._session.call("TIME")
        return int(whole) * 1000 + int(micro) // 1000

    async def _close_timers(self) -> None:
        await self._timer_watching.aclose()

    async def _fire(self, shards: Sequence[Shard], limit: int) -> Fired:
        names = [name for shard in shards for name in (shard.timers, shard.inbox)]
        count, next_due, fired = await self._session.run(scripts.FIRE, names, (limit,))
        self._session.announce(WORKERS, [shards[number] for number in fired])
        return Fired(count, int(next_due) if next_due else None)

    async def _watch_timers(self) -> Watch:
        if self._timer_watch is None or self._timer_watch.over:
            await self._timer_watching.aclose()
            watch = self._session.notifications.watch(keys.TIMERS_CHANNEL, keys.EARLIER)
            self._timer_watch = await self._timer_watching.enter_async_context(watch)
        return self._timer_watch


def _both(one: Fired, other: Fired) -> Fired:
    due = [fired.next_due_at for fired in (one, other) if fired.next_due_at is not None]
    return Fired(one.count + other.count, min(due, default=None))
