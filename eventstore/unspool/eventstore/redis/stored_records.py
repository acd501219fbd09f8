"""Reads everything in the store that can have payloads, in bounded pieces.

`SCAN` finds the records of executions, which keep their place. What moves from queue to queue is read after
them, in the order in which it moves, so that nothing passes by unseen.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any, Final, NamedTuple

from unspool.eventstore.errors import CorruptHistory
from unspool.eventstore.records import ExecutionKey, Snapshot
from unspool.eventstore.redis.codec import decode_message, decode_outgoing, decode_task
from unspool.eventstore.redis.dead_letters import dead_letter_of
from unspool.eventstore.redis.histories import events_of
from unspool.eventstore.redis.index import read_execution
from unspool.eventstore.redis.keys import Shard, TenantKeys
from unspool.eventstore.redis.publishing import published
from unspool.eventstore.redis.session import Session
from unspool.eventstore.stored_records import RecordKind, StoredRecord

_SCANNED: Final = 200
"""Keys in one piece of `SCAN`, about."""

_PAGE: Final = 200
"""Entries in one read of a stream."""

_AT_ONCE: Final = 16
"""Single values that are read together: a text can have some megabytes."""

_NAME: Final = re.compile(
    r"unspool:\{(?P<tenant>[^{}:]+)(?::(?P<shard>\d+))?\}:(?P<kind>execution|history|snapshot|text|tasks):(?P<rest>.*)",
    re.DOTALL,
)

Piece = list[StoredRecord]
Decode = Callable[[Any], Iterator[StoredRecord]]


class _Named(NamedTuple):
    """A key of the store."""

    name: str
    tenant: str
    kind: str
    rest: str
    """The id of an execution, a hash or the name of a queue."""


class RedisStoredRecords:
    """The records of the store, for `Operations`."""

    _session: Session

    async def stored_records(self) -> AsyncIterator[Piece]:
        """See `Operations`."""
        queues: set[str] = set()
        async for found in self._scanned():
            queues.update(each.rest for each in found if each.kind == "tasks")
            for each in found:
                if each.kind == "history":
                    async for piece in self._stream(each.name, _of_history):
                        yield piece
            for first in range(0, len(found), _AT_ONCE):
                some = await asyncio.gather(*map(self._single, found[first : first + _AT_ONCE]))
                yield [record for records in some for record in records]
        async for piece in self._moving(queues):
            yield piece

    async def _scanned(self) -> AsyncIterator[list[_Named]]:
        cursor = b"0"
        while True:
            reply = await self._session.call("SCAN", cursor, "MATCH", "unspool:{*", "COUNT", _SCANNED)
            cursor, names = reply
            matches = (_NAME.fullmatch(name.decode(errors="replace")) for name in names)
            yield [
                _Named(match[0], match["tenant"], match["kind"], match["rest"]) for match in matches if match
            ]
            if cursor == b"0":
                return

    async def _single(self, named: _Named) -> Piece:
        """The records of a key that has one value."""
        match named.kind:
            case "execution":
                record = await read_execution(self._session, ExecutionKey(named.tenant, named.rest))
                return [] if record is None else [StoredRecord(RecordKind.EXECUTION, record)]
            case "snapshot":
                stored = await self._session.call("GET", named.name)
                version, _, state = (stored or b"0 ").partition(b" ")
                return [StoredRecord(RecordKind.SNAPSHOT, Snapshot(int(version), state))] if stored else []
            case "text":
                text = await self._session.call("GET", named.name)
                return [] if text is None else [StoredRecord(RecordKind.TEXT, text)]
            case _:
                return []

    async def _moving(self, queues: set[str]) -> AsyncIterator[Piece]:
        for tenant in sorted(await self._session.tenants(fresh=True)):
            for name, decode in _streams(self._session.keys.tenant(tenant), sorted(queues)):
                async for piece in self._stream(name, decode):
                    yield piece

    async def _stream(self, name: str, decode: Decode) -> AsyncIterator[Piece]:
        begin = "-"
        while True:
            page = await self._session.call("XRANGE", name, begin, "+", "COUNT", _PAGE)
            if page:
                yield [record for entry in page for record in _records(decode, entry)]
            if len(page) < _PAGE:
                return
            begin = f"({page[-1][0].decode()}"


def _streams(tenant: TenantKeys, queues: list[str]) -> Iterator[tuple[str, Decode]]:
    """The streams that entries move through, those that they leave before those that they reach."""
    for shard in tenant.shards:
        yield shard.outbox, partial(_of_outbox, shard)
    yield tenant.bus.events, _of_bus
    for shard in tenant.shards:
        yield shard.inbox, _of_inbox
        for queue in queues:
            yield shard.tasks(queue), _of_tasks
        yield shard.dlq, partial(_of_dead_letters, shard)
        yield shard.unreadable, _unreadable


def _records(decode: Decode, entry: Any) -> Iterator[StoredRecord]:
    """The records of an entry of a stream."""
    try:
        yield from decode(entry)
    except (CorruptHistory, ValueError, KeyError):
        yield from _unreadable(entry)


def _of_history(entry: Any) -> Iterator[StoredRecord]:
    for event in events_of(entry):
        yield StoredRecord(RecordKind.HISTORY, event)


def _of_outbox(shard: Shard, entry: Any) -> Iterator[StoredRecord]:
    for each in decode_outgoing(shard.tenant, entry[1][1]):
        yield StoredRecord(RecordKind.OUTGOING, each)


def _of_bus(entry: Any) -> Iterator[StoredRecord]:
    for event in published([entry]):
        yield StoredRecord(RecordKind.EVENT, event)


def _of_inbox(entry: Any) -> Iterator[StoredRecord]:
    yield StoredRecord(RecordKind.MESSAGE, decode_message(entry[1][1]))


def _of_tasks(entry: Any) -> Iterator[StoredRecord]:
    yield StoredRecord(RecordKind.TASK, decode_task(entry[1][1]))


def _of_dead_letters(shard: Shard, entry: Any) -> Iterator[StoredRecord]:
    yield StoredRecord(RecordKind.DEAD_LETTER, dead_letter_of(shard, entry))


def _unreadable(entry: Any) -> Iterator[StoredRecord]:
    yield StoredRecord(RecordKind.UNREADABLE, b" ".join(entry[1]))
