"""Matches events with the subscriptions of one shard: calls of `match.lua`.

The keys of an event depend on the shapes of the subscriptions. This process keeps the shapes of each shard,
with their version. The script refuses keys that were computed from older shapes and returns the current ones.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import orjson

from unspool.eventstore.published_events import EventBatch, KeysOf, Shapes
from unspool.eventstore.records import WORKERS
from unspool.eventstore.redis import scripts
from unspool.eventstore.redis.keys import Shard
from unspool.eventstore.redis.positions import place_of
from unspool.eventstore.redis.session import Session
from unspool.eventstore.redis.socket_connection import Argument

_MAX_KEYS: Final = 1_000
"""Keys in one call, at most, except for a single event: Redis serves no other client during it."""

_MAX_BYTES: Final = 1 << 20
"""The same for the events."""

_OTHER_SHAPES: Final = 0
_BEHIND: Final = -1


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
        self._keys_of = keys_of
        self._encoded: dict[int, bytes] = {}
        self._keys: dict[Shapes, list[list[str]]] = {(): [[]] * len(self._events)}

    def keys(self, shapes: Shapes) -> list[list[str]]:
        """The keys of each event."""
        keys = self._keys.get(shapes)
        if keys is None:
            keys = [sorted({*self._keys_of(shapes, event)}) for event in self._events]
            self._keys[shapes] = keys
        return keys

    def encoded(self, number: int) -> bytes:
        """An event as JSON."""
        event = self._encoded.get(number)
        if event is None:
            event = self._encoded[number] = orjson.dumps(self._events[number])
        return event


class Matching:
    """Matches events with the subscriptions of shards."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: dict[Shard, _Known] = {}
        """The shapes of the shards that have subscriptions."""

    async def match(self, shard: Shard, batch: KeyedBatch) -> Matched:
        """Sends the events of a batch to the runs of one shard that are subscribed to them."""
        sent, place, after = 0, 0, batch.after
        while True:
            known = self._known.get(shard, _NO_SHAPES)
            end, values = _call(batch, batch.keys(known.shapes), place)
            upto = batch.positions[end - 1]
            status, *answer = await self._run(shard, (known.version, after, upto, *values))
            if status == _OTHER_SHAPES:
                self._learn(shard, *answer)
                continue
            if status == _BEHIND:
                return Matched(sent, answer[0].decode())
            count, position = answer[0], answer[1].decode()
            sent += count
            if count:
                self._session.announce(WORKERS, (shard,))
            if place_of(position) >= place_of(upto):
                place, after = end, upto
            if place == len(batch.positions):
                return Matched(sent, position)

    async def _run(self, shard: Shard, values: Sequence[Argument]) -> Any:
        names = (shard.matched, shard.matched_runs, shard.matched_late, shard.subscribers)
        shapes = (shard.shapes_version, shard.shapes)
        return await self._session.run(scripts.MATCH, (*names, *shapes, shard.inbox), values)

    def _learn(self, shard: Shard, version: bytes, shapes: Sequence[bytes]) -> None:
        """Keeps the shapes of a shard; those of another shard of the tenant, if they are equal."""
        if not shapes:
            self._known.pop(shard, None)
            return
        new: Shapes = tuple(sorted(shape.decode() for shape in shapes))
        others = (self._known.get(other) for other in self._session.keys.tenant(shard.tenant).shards)
        same = (other.shapes for other in others if other is not None and other.shapes == new)
        self._known[shard] = _Known(version, next(same, new))


def _call(batch: KeyedBatch, keys: Sequence[Sequence[str]], first: int) -> tuple[int, list[Argument]]:
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
