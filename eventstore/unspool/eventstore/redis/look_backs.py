"""Offers retained events to runs whose subscription was opened with a look back.

`commit.lua` notes in the shard which events such a run is to be offered: those between two positions on the
bus. Until they are in the inbox (`look_back.lua`), the shard matches no later events. So the run gets all in
order. Any process can do these steps. Each step is noted, so none is done twice.
"""

import asyncio
from collections.abc import Sequence
from typing import Final, NamedTuple

import orjson

from unspool.eventstore.consumers import WORKERS
from unspool.eventstore.published_events import KeysOf, PublishedEvent, Shapes
from unspool.eventstore.records import Message, MessageKind
from unspool.eventstore.redis import scripts
from unspool.eventstore.redis.codec import encode_message
from unspool.eventstore.redis.keys import Bus, Shard, TenantKeys
from unspool.eventstore.redis.positions import order_of
from unspool.eventstore.redis.publishing import published
from unspool.eventstore.redis.session import Session
from unspool.eventstore.redis.socket_connection import Argument
from unspool.eventstore.redis.subscriptions import accepted_member, place_in_order

_PAGE: Final = 100
"""Events in one call, at most."""

_MAX_SHAPES: Final = 1_000

_ABOVE_ALL: Final = str(1 << 53)
"""Above the place of each accepted event."""


class _LookBack(NamedTuple):
    """What is to be offered to a run."""

    after: str
    upto: str
    encoded: str
    """Shapes and keys as a JSON array: shape, key, shape, key …

    The last key is a blank and a place among the accepted events: what was accepted up to there is not
    offered. An earlier release takes it for a key that no event has. Its notes do not have it.
    """

    @property
    def entries(self) -> dict[str, set[str]]:
        """The keys by shape."""
        index = orjson.loads(self.encoded)
        found: dict[str, set[str]] = {}
        for shape, key in zip(index[::2], index[1::2], strict=True):
            found.setdefault(shape, set()).add(key)
        return found

    @property
    def place(self) -> str:
        """The place of the newest event that was accepted before the run began to look back."""
        last: str = orjson.loads(self.encoded)[-1]
        return last[1:] if last.startswith(" ") else _ABOVE_ALL


class LookBacks:
    """The runs that look back."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._shapes: dict[Shapes, Shapes] = {}
        """Each with itself: `KeysOf` gets the same object for the same shapes."""

    async def any(self, tenant: TenantKeys) -> bool:
        """Whether runs of a tenant look back. Without retention no new ones do."""
        if not self._session.retention:
            return False
        counts = await asyncio.gather(
            *(self._session.call("HGET", shard.matched, "look_backs") for shard in tenant.shards)
        )
        return any(count not in {None, b"0"} for count in counts)

    async def serve_all(self, tenant: TenantKeys, keys_of: KeysOf) -> int:
        """Offers retained events to all runs of a tenant that look back; returns the number of messages."""
        sent = await asyncio.gather(*(self.serve(shard, tenant.bus, keys_of) for shard in tenant.shards))
        return sum(sent)

    async def serve(self, shard: Shard, bus: Bus, keys_of: KeysOf) -> int:
        """Offers retained events to the runs of a shard that look back; returns the number of messages."""
        pending = await self._session.call("HGETALL", shard.look_backs)
        sent = 0
        for run, text in zip(pending[::2], pending[1::2], strict=True):
            sent += await self._serve_run(shard, bus, run.decode(), text.decode(), keys_of)
        if sent:
            self._session.announce(WORKERS, (shard,))
        return sent

    async def _serve_run(self, shard: Shard, bus: Bus, run: str, text: str, keys_of: KeysOf) -> int:
        """Offers events to one run. Stops if another process does it, or if the run listens no more."""
        sent = 0
        while text:
            look_back = _LookBack(*text.split(" ", 2))
            page = published(
                await self._session.call(
                    "XRANGE", bus.events, f"({look_back.after}", look_back.upto, "COUNT", _PAGE
                )
            )
            rest = " ".join(look_back._replace(after=page[-1].position)) if len(page) == _PAGE else ""
            offered = self._with_keys(look_back, page, keys_of)
            values: list[Argument] = [run, text, rest, look_back.place, *_messages(run, offered)]
            names = (shard.matched, shard.look_backs, shard.accepted, shard.inbox, shard.event_order)
            count: int = await self._session.run(scripts.LOOK_BACK, names, values)
            if count < 0:
                break
            sent, text = sent + count, rest
        return sent

    def _with_keys(
        self, look_back: _LookBack, page: Sequence[PublishedEvent], keys_of: KeysOf
    ) -> list[PublishedEvent]:
        """The events that have a key of the subscription."""
        entries = look_back.entries
        if len(self._shapes) >= _MAX_SHAPES:
            self._shapes.clear()
        shapes: Shapes = tuple(sorted(entries))
        shapes = self._shapes.setdefault(shapes, shapes)
        keys = set().union(*entries.values())
        return [each for each in page if not keys.isdisjoint(keys_of(shapes, each.event))]


def _messages(run: str, events: Sequence[PublishedEvent]) -> list[Argument]:
    """For each event its name among the accepted events, the message, and its place in the order."""
    execution, _, of_execution = run.partition(" ")
    values: list[Argument] = []
    for position, event, _ in events:
        body = {"run": of_execution, "order": order_of(position), "event": event}
        message = Message(MessageKind.EVENT, execution, body)
        values += (accepted_member(execution, event), encode_message(message), place_in_order(message))
    return values
