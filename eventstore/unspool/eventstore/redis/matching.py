"""Matches events with the subscriptions of shards: calls of `match.lua`.

The keys of an event depend on the shapes of the subscriptions. This process keeps the shapes of each shard,
with their version. The script refuses keys that were computed from older shapes and returns the current ones.
Shards with the same shapes are matched in one call, because a call costs more than a shard.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import orjson

from unspool.eventstore.consumers import WORKERS
from unspool.eventstore.published_events import EventBatch, KeysOf, Shapes
from unspool.eventstore.redis import scripts
from unspool.eventstore.redis.keys import Shard
from unspool.eventstore.redis.look_backs import LookBacks
from unspool.eventstore.redis.positions import place_of
from unspool.eventstore.redis.session import Session
from unspool.eventstore.redis.socket_connection import Argument

_MAX_KEYS: Final = 1_000
"""Keys in one call, at most, except for a single event: Redis serves no other client during it."""

_MAX_BYTES: Final = 1 << 20
"""The same for the events."""

_OTHER_SHAPES: Final = 0
_BEHIND: Final = -1
_LOOK_BACK_FIRST: Final = 2


class Matched(NamedTuple):
    """The result for one shard."""

    sent: int
    position: str
    """Up to this position the shard has matched."""


class _Known(NamedTuple):
    """The shapes of a shard."""

    version: bytes
    shapes: Shapes


_NO_SHAPES: Final = _Known(b"", ())


class KeyedBatch:
    """A batch of events with their keys, which are computed once for the same shapes."""

    def __init__(self, batch: EventBatch, keys_of: KeysOf) -> None:
        self.after = batch.after
        self.positions = [event.position for event in batch.events]
        self._events = [event.event for event in batch.events]
        self.keys_of = keys_of
        self._encoded: dict[int, bytes] = {}
        self._keys: dict[Shapes, list[list[str]]] = {(): [[]] * len(self._events)}

    def keys(self, shapes: Shapes) -> list[list[str]]:
        """The keys of each event."""
        keys = self._keys.get(shapes)
        if keys is None:
            keys = [sorted({*self.keys_of(shapes, event)}) for event in self._events]
            self._keys[shapes] = keys
        return keys

    def encoded(self, number: int) -> bytes:
        """An event as JSON."""
        event = self._encoded.get(number)
        if event is None:
            event = self._encoded[number] = orjson.dumps(self._events[number])
        return event


@dataclass(slots=True)
class _Progress:
    """How far a shard has come in a batch."""

    shard: Shard
    known: _Known = _NO_SHAPES
    """What the keys of the next call are computed from. Another call may learn other shapes meanwhile."""
    place: int = 0
    """The number of the next event."""
    sent: int = 0
    position: str = ""
    done: bool = False


class Matching:
    """Matches events with the subscriptions of shards."""

    def __init__(self, session: Session, look_backs: LookBacks) -> None:
        self._session = session
        self._look_backs = look_backs
        self._known: dict[Shard, _Known] = {}
        """The shapes of the shards that have subscriptions."""

    async def match(self, shards: Sequence[Shard], batch: KeyedBatch) -> list[Matched]:
        """Sends the events of a batch to the runs of some shards that are subscribed to them."""
        every = [_Progress(shard) for shard in shards]
        waiting = every
        while waiting:
            together: defaultdict[tuple[Shapes, int], list[_Progress]] = defaultdict(list)
            for each in waiting:
                each.known = self._known.get(each.shard, _NO_SHAPES)
                together[each.known.shapes, each.place].append(each)
            await asyncio.gather(*(self._match_next(some, batch, *at) for at, some in together.items()))
            waiting = [each for each in waiting if not each.done]
        return [Matched(each.sent, each.position) for each in every]

    async def _match_next(
        self, every: Sequence[_Progress], batch: KeyedBatch, shapes: Shapes, place: int
    ) -> None:
        """Matches the next events with shards that have the same shapes, from the same place on."""
        end, events = _arguments(batch, batch.keys(shapes), place)
        after, upto = batch.positions[place - 1] if place else batch.after, batch.positions[end - 1]
        names = [name for each in every for name in _names(each.shard)]
        versions = [each.known.version for each in every]
        answers = await self._session.run(scripts.MATCH, names, (after, upto, *versions, *events))
        receivers = []
        for each, (status, *answer) in zip(every, answers, strict=True):
            if status == _OTHER_SHAPES:
                self._learn(each.shard, *answer)
            elif status == _LOOK_BACK_FIRST:
                bus = self._session.keys.tenant(each.shard.tenant).bus
                each.sent += await self._look_backs.serve(each.shard, bus, batch.keys_of)
            elif status == _BEHIND:
                each.position, each.done = answer[0].decode(), True
            else:
                count, each.position = answer[0], answer[1].decode()
                each.sent += count
                if count:
                    receivers.append(each.shard)
                if place_of(each.position) >= place_of(upto):
                    each.place, each.done = end, end == len(batch.positions)
        self._session.announce(WORKERS, receivers)

    def _learn(self, shard: Shard, version: bytes, shapes: Sequence[bytes]) -> None:
        """Keeps the shapes of a shard; those of another shard of the tenant, if they are equal."""
        if not shapes:
            self._known.pop(shard, None)
            return
        new: Shapes = tuple(sorted(shape.decode() for shape in shapes))
        others = (self._known.get(other) for other in self._session.keys.tenant(shard.tenant).shards)
        same = (other.shapes for other in others if other is not None and other.shapes == new)
        self._known[shard] = _Known(version, next(same, new))


def _names(shard: Shard) -> tuple[str, ...]:
    """The keys of a shard, in the order of the script."""
    matched = (shard.matched, shard.matched_runs, shard.matched_late, shard.subscribers)
    return (*matched, shard.shapes, shard.inbox, shard.event_order)


def _arguments(batch: KeyedBatch, keys: Sequence[Sequence[str]], first: int) -> tuple[int, list[Argument]]:
    """Arguments for the next events that one call can take, and the number of the event after these."""
    values: list[Argument] = []
    count = size = 0
    for number in range(first, len(keys)):
        of_event = keys[number]
        if not of_event:
            continue
        event = batch.encoded(number)
        count += len(of_event)
        size += len(event)
        if values and (count > _MAX_KEYS or size > _MAX_BYTES):
            return number, values
        values += (batch.positions[number], event, len(of_event), *of_event)
    return len(keys), values
