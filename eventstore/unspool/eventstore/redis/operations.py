"""What operators see of a store on Redis: its services and what waits in it."""

import asyncio
from collections.abc import Collection, Sequence
from typing import Any, Final, NamedTuple

import orjson

from unspool.eventstore.consumers import Capacity
from unspool.eventstore.operations import Backlog, Inspection, LiveConsumer, Waiting
from unspool.eventstore.port import CONSUMER_TIMEOUT_SECONDS
from unspool.eventstore.redis import scripts
from unspool.eventstore.redis.inspection import inspected
from unspool.eventstore.redis.keys import Shard, members
from unspool.eventstore.redis.members import keys_in, load_in, queues_in
from unspool.eventstore.redis.queues import RedisQueues
from unspool.eventstore.this_process import Process

_SHARDS_AT_ONCE: Final = 64
"""Shards that are asked together. Redis serves other clients between two of them."""

_MEMBERS: Final = 6
"""Members of a heartbeat of this release; release 0.1 has fewer."""


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
        heartbeats = {name.decode(): beat for name, beat in zip(reply[::2], reply[1::2], strict=True)}
        return [
            _consumer(role, name, beat)
            for name, beat in sorted(heartbeats.items())
            if (name in observed if (at := _sent_at(beat)) is None else _is_fresh(at, now))
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


def _sent_at(heartbeat: bytes) -> int | None:
    """When a heartbeat was sent, by the clock of Redis; None for release 0.1."""
    parts = orjson.loads(heartbeat)
    return int(parts[-1]) if len(parts) >= _MEMBERS else None


def _is_fresh(sent_at: int, now: int) -> bool:
    return now - sent_at < CONSUMER_TIMEOUT_SECONDS * 1000


def _consumer(role: str, name: str, heartbeat: bytes) -> LiveConsumer:
    parts = orjson.loads(heartbeat)
    known = len(parts) >= _MEMBERS
    return LiveConsumer(
        role,
        name,
        tuple(queues_in(heartbeat)),
        load_in(heartbeat),
        Capacity(*parts[4]) if known else Capacity(),
        Process(*parts[3]) if known else None,
        (parts[-2] - parts[-1]) / 1000 if len(parts) > _MEMBERS else 0.0,
        keys_in(heartbeat),
    )
