"""Leased deliveries of messages and tasks: rows of a table that have an owner for a limited time.

A row without an owner waits. An owner is a consumer. Another consumer may take over a row when its owner sent
no heartbeat for `CONSUMER_TIMEOUT_SECONDS`, or when the lease was taken or last renewed too long ago. Ages
are measured by the monotonic clock, which all processes of a machine share. The clock starts again when the
machine boots, so a time far in the future also counts as old. Times in which no process could write to the
file do not count (`WriteOutages`).
"""

# ruff: noqa: S608 - only our own table and column names are put into statements

from collections.abc import Sequence
from typing import Any, Final

from unspool.eventstore.consumers import Consumer
from unspool.eventstore.port import CONSUMER_TIMEOUT_SECONDS
from unspool.eventstore.records import Delivery, Message, TaskRequest
from unspool.eventstore.sqlite.connection_thread import Precheck, Transaction
from unspool.eventstore.sqlite.outages import WriteOutages

Row = tuple[Any, ...]

LIVE: Final = "abs(? - seen_at) <= ?"
"""The condition on a row of `consumers`; its parameters are those of `live_parameters`."""

# `owner > ''` means `owner IS NOT NULL`, in a form that uses an index.
_ORPHANED: Final = (
    f"owner > '' AND (abs(? - taken_at) > ? OR owner NOT IN (SELECT owner FROM consumers WHERE {LIVE}))"
)


def live_parameters(now: float, outages: WriteOutages) -> tuple[float, float]:
    """The parameters of `LIVE`: the time, and the seconds without a heartbeat that a consumer may have."""
    return now, CONSUMER_TIMEOUT_SECONDS + outages.allowance(CONSUMER_TIMEOUT_SECONDS)


def lease_parameters(now: float, lease: float, outages: WriteOutages) -> tuple[float, ...]:
    """The parameters of a condition on orphans."""
    return now, lease + outages.allowance(lease), *live_parameters(now, outages)


def owner_of(consumer: Consumer) -> str:
    """A consumer's name in the owner columns."""
    return f"{consumer.role}/{consumer.name}"


class LeasedTable:
    """The statements about one table of deliveries."""

    def __init__(
        self, table: str, columns: str, *, topic: str, cancelled: str = "FALSE", among: str = "TRUE"
    ) -> None:
        """Builds the statements.

        Args:
            table: its name.
            columns: the columns of a delivery's body.
            topic: SQL for the topic to notify when a row waits again.
            cancelled: SQL condition on rows that are deleted instead of waiting again.
            among: SQL condition on rows that a consumer may take over; `reclaim` gets its parameters.
        """
        # The index has only held rows first: without the hint, SQLite scans all waiting rows in order of id.
        held = f"{table} INDEXED BY {table}_by_owner"
        self.orphans = f"SELECT id FROM {held} WHERE {_ORPHANED} AND {among} ORDER BY id LIMIT ?"
        self._take = (
            f"UPDATE {table} SET owner = ?, taken_at = ?, attempts = attempts + 1 WHERE id IN ({{ids}})"
            f" RETURNING id, tenant, owner, attempts, queued_at, {columns}"
        )
        self._drop_orphans = f"DELETE FROM {held} WHERE {_ORPHANED} AND {cancelled}"
        self._drop_one = f"DELETE FROM {table} WHERE {cancelled} AND id = ? AND owner = ?"
        self._drop_all = f"DELETE FROM {table} WHERE {cancelled} AND owner = ?"
        free = f"UPDATE {table} SET owner = NULL, taken_at = NULL"
        self._free_one = f"{free}, attempts = attempts - 1 WHERE id = ? AND owner = ? RETURNING {topic}"
        self._free_all = f"{free} WHERE owner = ? RETURNING {topic}"

    def take(self, transaction: Transaction, owner: str, now: float, ids: str, parameters: Row) -> list[Row]:
        """Assigns the rows selected by the query `ids` to an owner; returns them in order of id."""
        taken = transaction.execute(self._take.format(ids=ids), (owner, now, *parameters))
        # RETURNING gives rows in arbitrary order.
        return sorted(taken.fetchall(), key=_by_id)

    def orphan_precheck(self, orphaned: Row, *among: str) -> Precheck:
        """Checks whether there is anything to reclaim; `orphaned` are the `lease_parameters`."""
        return Precheck(self.orphans, (*orphaned, *among, 1))

    def reclaim(
        self, transaction: Transaction, owner: str, orphaned: Row, limit: int, *among: str
    ) -> list[Row]:
        """Assigns rows whose owner is gone or whose lease is over to an owner; deletes cancelled ones."""
        transaction.execute(self._drop_orphans, orphaned)
        return self.take(transaction, owner, orphaned[0], self.orphans, (*orphaned, *among, limit))

    def release(
        self, transaction: Transaction, deliveries: Sequence[Delivery[Message] | Delivery[TaskRequest]]
    ) -> None:
        """Makes rows wait again if their owner has not changed since delivery; the attempt is not counted."""
        for delivery in deliveries:
            held = (int(delivery.id), delivery.source)
            transaction.execute(self._drop_one, held)
            transaction.topics.update(
                topic for [topic] in transaction.execute(self._free_one, held).fetchall()
            )

    def deregister(self, transaction: Transaction, owner: str) -> None:
        """Makes all rows of an owner wait again."""
        transaction.execute(self._drop_all, (owner,))
        transaction.topics.update(
            topic for [topic] in transaction.execute(self._free_all, (owner,)).fetchall()
        )


MESSAGES: Final = LeasedTable("inbox", "kind, execution, body", topic="'inbox'")
TASKS: Final = LeasedTable(
    "tasks",
    "execution, run, task, queue, arguments, deadline",
    topic="'tasks:' || queue",
    cancelled="cancelled",
    among="queue IN (SELECT value FROM json_each(?))",
)


def _by_id(row: Row) -> int:
    number: int = row[0]
    return number
