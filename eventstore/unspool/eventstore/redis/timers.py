"""Timers: in each shard a sorted set of the messages that they send.

With few tenants each call asks all shards. With many tenants it asks only the shards that have due timers.
The process knows them from replies and from notifications: `commit.lua` publishes a timer that is the
earliest of its shard. Notifications can be lost. So the process asks all shards after a lost connection, and
each shard every ten seconds. The clock of Redis decides which timers fire, so no timer fires early.
"""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from math import ceil
from typing import Final

from unspool.eventstore.consumers import WORKERS
from unspool.eventstore.redis import keys, scripts
from unspool.eventstore.redis.due_shards import DueShards
from unspool.eventstore.redis.keys import Shard
from unspool.eventstore.redis.notifications import ALL_TOPICS, Watch
from unspool.eventstore.redis.session import Session
from unspool.eventstore.results import Fired

_SHARDS_A_CALL: Final = 64
"""Shards in one call, at most. Redis serves other clients between two calls."""

_ASK_ALL_SECONDS: Final = 10.0
"""The process asks each shard once in this time, in case a notification was lost."""


class RedisTimers:
    """The timers of the store."""

    _session: Session

    def __init__(self) -> None:
        self._timer_watch: Watch | None = None
        self._timer_watching = AsyncExitStack()
        self._firing = asyncio.Lock()
        self._first_shards = 0
        self._known: DueShards | None = None
        """None if the process must ask all shards first."""
        self._announced: dict[str, int] = {}
        """The earliest announced timer of each shard, not yet in `_known`."""
        self._asked_at = 0.0
        self._next_due_at: int | None = None

    async def fire_due_timers(self, limit: int = 100) -> Fired:
        """See `Timers`."""
        async with self._firing:  # a reply must not overwrite a later notification
            # Watches before it reads, so that no timer set in between is missed.
            watch = await self._watch_timers()
            watch.forget()
            await self._session.tenants()
            if self._session.has_many_tenants:
                fired = await self._fire_known(watch, limit)
            else:
                fired = await self._fire_all(watch, limit)
            self._next_due_at = fired.next_due_at
            return fired

    async def wait_for_timers(self, seconds: float) -> None:
        """See `Timers`."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while (left := deadline - loop.time()) > 0:
            watch = await self._watch_timers()
            await watch.changed(left)
            earliest = self._read_notifications(watch)
            if watch.over or (
                earliest is not None and (self._next_due_at is None or earliest < self._next_due_at)
            ):
                return

    async def now(self) -> int:
        """See `Timers`."""
        return await self._session.milliseconds()

    async def _close_timers(self) -> None:
        await self._timer_watching.aclose()

    async def _fire_all(self, watch: Watch, limit: int) -> Fired:
        """Asks all shards."""
        self._read_notifications(watch)
        self._announced.clear()
        self._known = None
        shards = self._session.keys.all_shards(await self._session.tenants(fresh=True))
        # Rotates the first shard, so that many timers of one tenant do not delay the others.
        self._first_shards = (self._first_shards + 1) % len(shards)
        count, late, due = 0, 0, DueShards()
        for some in _pieces(shards[self._first_shards :] + shards[: self._first_shards]):
            more, some_late = await self._ask(some, limit - count, due)
            count, late = count + more, max(late, some_late)
        return Fired(count, due.next_due_at(), late)

    async def _fire_known(self, watch: Watch, limit: int) -> Fired:
        """Asks the shards that have due timers."""
        # The notifications of commits that were answered before this call arrive before the answer.
        _, now = await asyncio.gather(self._session.notifications.catch_up(), self.now())
        self._read_notifications(watch)
        known = await self._refresh_known()
        for topic, due_at in self._announced.items():
            known.set_earlier(topic, due_at)
        self._announced.clear()
        shards = [self._session.keys.shard_named(topic) for topic in known.due(now, _SHARDS_A_CALL)]
        count, late = await self._ask(shards, limit, known) if shards else (0, 0)
        return Fired(count, known.next_due_at(), late)

    async def _refresh_known(self) -> DueShards:
        """Asks all shards if none is known; otherwise some of them in turn, if it is time."""
        known, now = self._known, self._session.monotonic()
        if known is not None and now - self._asked_at < _ASK_ALL_SECONDS / 100:
            return known
        shards = self._session.keys.all_shards(await self._session.tenants())
        if known is None:
            known = DueShards()
        else:
            share = min(1.0, (now - self._asked_at) / _ASK_ALL_SECONDS)
            self._first_shards = first = self._first_shards % len(shards)
            shards = (shards[first:] + shards[:first])[: ceil(len(shards) * share)]
        self._first_shards += len(shards)
        self._asked_at = now
        await asyncio.gather(*(self._ask(some, 0, known) for some in _pieces(shards)))
        self._known = known
        return known

    async def _ask(self, shards: Sequence[Shard], limit: int, known: DueShards) -> tuple[int, int]:
        """Fires due timers of some shards. Updates `known` with the replies.

        Returns how many were fired, and how late the latest of them was, in milliseconds.
        """
        names = [name for shard in shards for name in (shard.timers, shard.inbox)]
        count, fired, next_due, late = await self._session.run(scripts.FIRE, names, (limit,))
        self._session.announce(WORKERS, [shards[number] for number in fired])
        for shard, due_at in zip(shards, next_due, strict=True):
            known.replace(shard.topic, int(due_at) if due_at else None)
        for number in fired:
            known.put_last(shards[number].topic)
        return int(count), int(late)

    def _read_notifications(self, watch: Watch) -> int | None:
        """Reads the new notifications; returns the earliest due time in them."""
        topics = [topic.decode() for topic in watch.topics]
        watch.topics.clear()
        return min((self._read_notification(topic) for topic in topics), default=None)

    def _read_notification(self, topic: str) -> int:
        due_at, _, name = topic.partition("@")
        try:
            self._session.keys.shard_named(name)
            self._announced[name] = min(int(due_at), self._announced.get(name, int(due_at)))
        except ValueError:  # release 0.1 does not name the shard
            self._known = None
            return 0
        return int(due_at)

    async def _watch_timers(self) -> Watch:
        if self._timer_watch is None or self._timer_watch.over:
            await self._timer_watching.aclose()
            watch = self._session.notifications.watch(keys.TIMERS_CHANNEL, ALL_TOPICS)
            self._timer_watch = await self._timer_watching.enter_async_context(watch)
            self._known = None  # earlier notifications were missed
        return self._timer_watch


def _pieces(shards: Sequence[Shard]) -> Iterable[Sequence[Shard]]:
    return (shards[at : at + _SHARDS_A_CALL] for at in range(0, len(shards), _SHARDS_A_CALL))
