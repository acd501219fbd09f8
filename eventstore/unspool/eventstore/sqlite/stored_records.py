"""Reads everything in the store that can have payloads, in bounded pieces.

The tables are read in the order in which their rows move, so that nothing passes by unseen.
"""

from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Final, NamedTuple

import orjson

from unspool.eventstore.errors import CorruptHistory
from unspool.eventstore.events import decode_entry
from unspool.eventstore.records import Message, MessageKind, Snapshot, TaskRequest
from unspool.eventstore.sqlite.connection_thread import Transaction
from unspool.eventstore.sqlite.dead_letters import LETTER_COLUMNS, dead_letter_of
from unspool.eventstore.sqlite.index import RECORD_COLUMNS, record_of
from unspool.eventstore.sqlite.mixin import StoreMixin
from unspool.eventstore.sqlite.publishing import published
from unspool.eventstore.stored_records import Content, RecordKind, StoredRecord

_PAGE: Final = 200
"""Rows in one read."""

_EXECUTIONS: Final = (
    f"SELECT {RECORD_COLUMNS} FROM executions"  # noqa: S608 - our own columns
    " WHERE (tenant, id) > (?, ?) ORDER BY tenant, id LIMIT ?"
)


class _Table(NamedTuple):
    """A table with row ids."""

    name: str
    kind: RecordKind
    columns: str
    contents: Callable[..., Iterable[Content]]
    """Takes the columns of a row; raises `ValueError` or `CorruptHistory` if it cannot be read."""


def _message(execution: str, kind: str, body: bytes) -> list[Content]:
    return [Message(MessageKind(kind), execution, orjson.loads(body))]


def _task(execution: str, run: str, task: str, queue: str, arguments: bytes) -> list[Content]:
    return [TaskRequest(execution, run, task, queue, orjson.loads(arguments))]


_TABLES: Final = (
    _Table(
        "bus_events",
        RecordKind.EVENT,
        "position, event, published_at",
        lambda *row: [published(*row)],
    ),
    _Table("inbox", RecordKind.MESSAGE, "execution, kind, body", _message),
    _Table("tasks", RecordKind.TASK, "execution, run, task, queue, arguments", _task),
    _Table("dead_letters", RecordKind.DEAD_LETTER, LETTER_COLUMNS, lambda *row: [dead_letter_of(*row)]),
    _Table("history", RecordKind.HISTORY, "entry", decode_entry),
    _Table("snapshots", RecordKind.SNAPSHOT, "version, state", lambda *row: [Snapshot(*row)]),
    _Table("texts", RecordKind.TEXT, "text", lambda text: [bytes(text)]),
)


class SqliteStoredRecords(StoreMixin):
    """The records of the store, for `Operations`."""

    async def stored_records(self) -> AsyncIterator[list[StoredRecord]]:
        """See `Operations`."""
        after = ("", "")
        while rows := await self._read(_EXECUTIONS, (*after, _PAGE)):
            after = rows[-1][0], rows[-1][1]
            yield [StoredRecord(RecordKind.EXECUTION, record_of(*row)) for row in rows]
        for table in _TABLES:
            async for piece in self._of_table(table):
                yield piece

    async def _of_table(self, table: _Table) -> AsyncIterator[list[StoredRecord]]:
        [[last]] = await self._read(f"SELECT max(rowid) FROM {table.name}", ())  # noqa: S608 - our own names
        query = (
            f"SELECT rowid, {table.columns} FROM {table.name}"  # noqa: S608 - our own names
            " WHERE rowid > ? AND rowid <= ? ORDER BY rowid LIMIT ?"
        )
        after = 0
        while rows := await self._read(query, (after, last or 0, _PAGE)):
            after = rows[-1][0]
            yield [record for row in rows for record in _records(table, row[1:])]

    async def _read(self, query: str, parameters: tuple[Any, ...]) -> list[Any]:
        def read(transaction: Transaction) -> list[Any]:
            return transaction.execute(query, parameters).fetchall()

        return await self._database.read(read)


def _records(table: _Table, row: tuple[Any, ...]) -> list[StoredRecord]:
    try:
        return [StoredRecord(table.kind, content) for content in table.contents(*row)]
    except (CorruptHistory, ValueError):
        columns = (value if isinstance(value, bytes) else str(value).encode() for value in row)
        return [StoredRecord(RecordKind.UNREADABLE, b" ".join(columns))]
