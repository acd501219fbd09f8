"""Retention: finds ended executions by an index of times, and deletes them in short transactions."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from unspool.eventstore.records import ExecutionKey, ExecutionRecord
from unspool.eventstore.sqlite.connection_thread import Transaction
from unspool.eventstore.sqlite.index import RECORD_COLUMNS, record_of
from unspool.eventstore.sqlite.mixin import StoreMixin
from unspool.eventstore.sqlite.tags import REMOVE_TAG, tag_rows
from unspool.eventstore.sqlite.vacuum import free_pages

_MOST_ENTRIES: Final = 1_000
"""Entries of histories that one transaction deletes, about: other calls wait for it."""

_ENDED_BEFORE: Final = (
    f"SELECT {RECORD_COLUMNS} FROM executions"  # noqa: S608 - our own columns
    " WHERE ended_at IS NOT NULL AND coalesce(kept_until, ended_at) < ?"
    " ORDER BY coalesce(kept_until, ended_at) LIMIT ?"
)
_LOOK_AGAIN: Final = (
    "UPDATE executions SET kept_until = ? WHERE tenant = ? AND id = ? AND ended_at IS NOT NULL"
)
_REMOVE: Final = (
    "DELETE FROM executions WHERE tenant = ? AND id = ? AND version = ? AND ended_at IS NOT NULL"
    " AND NOT EXISTS (SELECT 1 FROM dead_letters AS dead"
    " WHERE dead.tenant = executions.tenant AND dead.execution = executions.id)"
)
_REMOVE_REST: Final = tuple(
    f"DELETE FROM {table} WHERE tenant = ? AND execution = ?"  # noqa: S608 - our own tables
    for table in ("snapshots", "timers", "tasks", "look_backs", "accepted_events")
)
# Other processes see new commits by the number of the newest entry, so this number must not be used again. If
# the newest entry belongs to a deleted execution, it loses its content and stays until there is a newer one.
_NEWEST: Final = "(SELECT max(number) FROM history)"
_EMPTY_NEWEST: Final = (
    "UPDATE history SET tenant = '', execution = '', version = number, entry = x''"  # noqa: S608 - our own text
    f" WHERE number = {_NEWEST} AND tenant = ? AND execution = ?"
)
_REMOVE_EMPTY: Final = f"DELETE FROM history WHERE tenant = '' AND execution = '' AND number < {_NEWEST}"  # noqa: S608 - our own text
_REMOVE_ENTRIES: Final = (
    "DELETE FROM history WHERE number IN"
    " (SELECT number FROM history WHERE tenant = ? AND execution = ? LIMIT ?)"
)
_NOTE: Final = "INSERT INTO dropped (tenant, execution) VALUES (?, ?)"
_NOTED: Final = "SELECT tenant, execution FROM dropped LIMIT 1"
_FORGET: Final = "DELETE FROM dropped WHERE tenant = ? AND execution = ?"


class SqliteRetention(StoreMixin):
    """The port's `Retention`."""

    async def index_ended(self, limit: int) -> int:  # noqa: ARG002 - the port's
        """See `Retention`. SQLite has filled the index when it made it, so none is ever missing."""
        return 0

    async def index_existing(self, limit: int) -> int:  # noqa: ARG002 - the port's
        """See `Retention`. SQLite has filled the indexes when it made them, so none is ever missing."""
        return 0

    async def ended_before(self, time: int, limit: int) -> list[ExecutionRecord]:
        """See `Retention`."""
        rows = await self._database.read(
            lambda transaction: transaction.execute(_ENDED_BEFORE, (time, limit)).fetchall()
        )
        return [record_of(*row) for row in rows]

    async def look_again_at(self, times: Mapping[ExecutionKey, int]) -> None:
        """See `Retention`."""
        rows = [(time, *key) for key, time in times.items()]

        def update(transaction: Transaction) -> None:
            transaction.executemany(_LOOK_AGAIN, rows)

        await self._database.write(update, durable=False)

    async def drop(self, records: Sequence[ExecutionRecord]) -> list[bool]:
        """See `Retention`."""
        dropped: list[bool] = []
        while len(dropped) < len(records):
            dropped += await self._database.write(partial(_drop, records=records[len(dropped) :]))
        while not await self._database.write(_drop_rest, durable=False):
            pass
        return dropped


def forget_dropped(transaction: Transaction, key: ExecutionKey) -> None:
    """Deletes what is left of a deleted execution, for a new one with its id."""
    if transaction.execute(_FORGET, key).rowcount:
        _remove_entries(transaction, key, -1)


def _drop(transaction: Transaction, records: Sequence[ExecutionRecord]) -> list[bool]:
    """Deletes executions, until their histories have many entries; returns an answer for each of these."""
    transaction.execute(_REMOVE_EMPTY)
    dropped: list[bool] = []
    left = _MOST_ENTRIES
    for record in records:
        if left <= 0:
            break
        removed = transaction.execute(_REMOVE, (*record.key, record.version)).rowcount > 0
        if removed:
            transaction.executemany(REMOVE_TAG, tag_rows(record.key, record.created_at, record.tags))
            left -= _remove_parts(transaction, record.key, left)
        dropped.append(removed)
    return dropped


def _remove_parts(transaction: Transaction, key: ExecutionKey, most: int) -> int:
    """Deletes what belongs to an execution, of its history at most so many entries; returns how many."""
    for statement in _REMOVE_REST:
        transaction.execute(statement, key)
    removed = _remove_entries(transaction, key, most)
    if removed == most:
        transaction.execute(_NOTE, key)
    return removed


def _drop_rest(transaction: Transaction) -> bool:
    """Deletes a piece of a long history, or else frees pages of the file; returns whether all is done."""
    noted = transaction.execute(_NOTED).fetchone()
    if noted is None:
        return free_pages(transaction)
    key = ExecutionKey(*noted)
    if _remove_entries(transaction, key, _MOST_ENTRIES) < _MOST_ENTRIES:
        transaction.execute(_FORGET, key)
    return False


def _remove_entries(transaction: Transaction, key: ExecutionKey, most: int) -> int:
    transaction.execute(_EMPTY_NEWEST, key)
    return transaction.execute(_REMOVE_ENTRIES, (*key, most)).rowcount
