"""What operators see of a store on Redis: its services and what waits in it."""

import asyncio
from collections.abc import Collection, Sequence
from typing import Any, Final, NamedTuple

from unspool.eventstore.operations import Backlog, Inspection, LiveConsumer, Waiting
from unspool.eventstore.port import CONSUMER_TIMEOUT_SECONDS
from unspool.eventstore.redis import scripts
from unspool.eventstore.redis.heartbeats import Heartbeat, heartbeat_of
from unspool.eventstore.redis.inspection import inspected
from unspool.eventstore.redis.keys import Shard, members
from unspool.eventstore.redis.queues import RedisQueues

_SHARDS_AT_ONCE: Final = 64
"""Shards that are asked together. Redis serves other clients between two of them."""


class RedisOperations(RedisQueues):
    """The port's `Operations`."""

    async def live_consumers(self) -> list[LiveConsumer]:
        """See `Operations`. The age of a heartbeat is measured by the clock of Redis."""
        now = await self._session.milliseconds()
        found = await asyncio.gather(*(self._live_of(role, now) for role in sorted(self._members)))
        return [consumer for of_role in found for consumer in of_role]

    async def _live_of(self, role: str, now: int) -> list[LiveConsumer]:
        reply: list[bytes] = await self._session.call("HGETALL", members(role))
        await self._members[role].refresh()
        observed = self._members[role].live()
        stored = {name.decode(): beat for name, beat in zip(reply[::2], reply[1::2], strict=True)}
        heartbeats = [(name, heartbeat_of(stored[name])) for name in sorted(stored)]
        return [
            _consumer(role, name, beat)
            for name, beat in heartbeats
            if (name in observed if beat.sent_at is None else _is_fresh(beat.sent_at, now))
        ]

    async def backlog(self, queues: Collection[str]) -> Backlog:
        """See `Operations`."""
        names = sorted(queues)
        total = _Total(names)
        shards = self._session.keys.all_shards(await self._session.tenants(fresh=True))
        for first in range(0, len(shards), _SHARDS_AT_ONCE):
            some = shards[first : first + _SHARDS_AT_ONCE]
            for reply in await asyncio.gather(*(self._backlog_of(shard, names) for shard in some)):
                total.add(reply)
        return total.backlog()

    async def _backlog_of(self, shard: Shard, queues: Sequence[str]) -> Any:
        keys = (shard.timers, shard.dlq, shard.inbox, *map(shard.tasks, queues))
        return await self._session.run(scripts.BACKLOG, keys, ())

    def missing_keys(self) -> list[str]:
        """See `Operations`. An adapter reads no payloads, so it needs no keys."""
        return []

    async def inspect(self) -> Inspection:
        """See `Operations`."""
        return await inspected(self._session)


class _Figures(NamedTuple):
    """What the script says of a stream."""

    length: int
    held: int
    oldest: bytes


class _Total:
    """The sums over shards."""

    def __init__(self, queues: Sequence[str]) -> None:
        self._queues = queues
        self._sums = [Waiting()] * (2 + len(queues))
        self._next_timer_at: int | None = None

    def add(self, reply: list[Any]) -> None:
        """Adds the reply of the script for a shard."""
        if reply[0]:
            due = int(reply[0])
            self._next_timer_at = due if self._next_timer_at is None else min(due, self._next_timer_at)
        figures = (_Figures(*reply[at : at + 3]) for at in range(1, len(reply), 3))
        self._sums = [_sum(known, more) for known, more in zip(self._sums, figures, strict=True)]

    def backlog(self) -> Backlog:
        """Returns the sums."""
        dead_letters, inbox, *tasks = self._sums
        return Backlog(inbox, dict(zip(self._queues, tasks, strict=True)), dead_letters, self._next_timer_at)


def _sum(known: Waiting, more: _Figures) -> Waiting:
    waiting = known.waiting + int(more.length) - int(more.held)
    oldest = [at for at in (known.oldest_at, _time_of(more.oldest)) if at is not None]
    return Waiting(waiting, known.held + int(more.held), min(oldest, default=None))


def _time_of(entry: bytes) -> int | None:
    """When an entry was added; None without an entry."""
    return int(entry.partition(b"-")[0]) if entry else None


def _is_fresh(sent_at: int, now: int) -> bool:
    return now - sent_at < CONSUMER_TIMEOUT_SECONDS * 1000


def _consumer(role: str, name: str, beat: Heartbeat) -> LiveConsumer:
    return LiveConsumer(
        role, name, beat.queues, beat.load, beat.capacity, beat.process, beat.clock_ahead, beat.keys
    )
