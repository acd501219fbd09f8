"""Deliveries on loan, the same for messages and tasks: rows of a table that have an owner for a while.

A row without an owner waits. An owner is a consumer; a row it holds goes to another one when the consumer has
been silent for `CONSUMER_TIMEOUT_SECONDS`, or when the row was taken, or last renewed, longer than a lease
ago. Ages are taken by the monotonic clock, which all processes of a machine share; it begins anew with the
machine, so a time far in the future counts as old, too.
"""

# ruff: noqa: S608 - the names put into statements are those of our own tables and columns

from collections.abc import Sequence
from typing import Any, Final

from unspool.eventstore.port import CONSUMER_TIMEOUT_SECONDS
from unspool.eventstore.records import Consumer, Delivery, Message, TaskRequest
from unspool.eventstore.sqlite.lane import Look, Transaction

Row = tuple[Any, ...]

LIVE: Final = f"abs(? - seen_at) <= {CONSUMER_TIMEOUT_SECONDS}"
"""The condition on a row of `consumers`; its parameter is the time."""

# `owner > ''` is `owner IS NOT NULL`, put so that an index serves it.
_ORPHANED: Final = (
    f"owner > '' AND (abs(? - taken_at) > ? OR owner NOT IN (SELECT owner FROM consumers WHERE {LIVE}))"
)


def owner_of(consumer: Consumer) -> str:
    """How a consumer is named in the owner columns."""
    return f"{consumer.role}/{consumer.name}"


class LeasedTable:
    """The statements about one table of deliveries."""

    def __init__(
        self, table: str, columns: str, *, topic: str, unwanted: str = "FALSE", among: str = "TRUE"
    ) -> None:
        """Builds the statements.

        Args:
            table: its name.
            columns: what the bodies of its deliveries are made of.
            topic: SQL for the topic that is rung when a row waits again.
            unwanted: the condition on rows that are dropped instead of waiting again.
            among: the condition on rows that a consumer may take over; its parameters are given then.
        """
        # Told to go through what is held: SQLite would rather go through all that waits, which is in order.
        held = f"{table} INDEXED BY {table}_by_owner"
        self.orphans = f"SELECT id FROM {held} WHERE {_ORPHANED} AND {among} ORDER BY id LIMIT ?"
        self._take = (
            f"UPDATE {table} SET owner = ?, taken_at = ?, attempts = attempts + 1 WHERE id IN ({{ids}})"
            f" RETURNING id, tenant, owner, attempts, {columns}"
        )
        self._drop_orphans = f"DELETE FROM {held} WHERE {_ORPHANED} AND {unwanted}"
        self._drop_one = f"DELETE FROM {table} WHERE {unwanted} AND id = ? AND owner = ?"
        self._drop_all = f"DELETE FROM {table} WHERE {unwanted} AND owner = ?"
        free = f"UPDATE {table} SET owner = NULL, taken_at = NULL"
        self._free_one = f"{free}, attempts = attempts - 1 WHERE id = ? AND owner = ? RETURNING {topic}"
        self._free_all = f"{free} WHERE owner = ? RETURNING {topic}"

    def take(self, transaction: Transaction, owner: str, now: float, ids: str, parameters: Row) -> list[Row]:
        """Gives the rows that the query `ids` names to an owner; returns them by id."""
        taken = transaction.execute(self._take.format(ids=ids), (owner, now, *parameters))
        # The order in which RETURNING gives rows is arbitrary.
        return sorted(taken.fetchall(), key=_by_id)

    def look_for_orphans(self, now: float, lease: float, *among: str) -> Look:
        """Whether there is anything to reclaim."""
        return Look(self.orphans, (now, lease, now, *among, 1))

    def reclaim(
        self, transaction: Transaction, owner: str, now: float, lease: float, limit: int, *among: str
    ) -> list[Row]:
        """Gives rows to an owner whose owners are gone or too slow; drops those nobody wants any more."""
        transaction.execute(self._drop_orphans, (now, lease, now))
        return self.take(transaction, owner, now, self.orphans, (now, lease, now, *among, limit))

    def release(
        self, transaction: Transaction, deliveries: Sequence[Delivery[Message] | Delivery[TaskRequest]]
    ) -> None:
        """Lets rows wait again that are still held as they were delivered; it counts as no attempt."""
        for delivery in deliveries:
            held = (int(delivery.id), delivery.source)
            transaction.execute(self._drop_one, held)
            transaction.news.update(topic for [topic] in transaction.execute(self._free_one, held).fetchall())

    def deregister(self, transaction: Transaction, owner: str) -> None:
        """Lets everything an owner holds wait again."""
        transaction.execute(self._drop_all, (owner,))
        transaction.news.update(topic for [topic] in transaction.execute(self._free_all, (owner,)).fetchall())


MESSAGES: Final = LeasedTable("inbox", "kind, execution, body", topic="'inbox'")
TASKS: Final = LeasedTable(
    "tasks",
    "execution, run, task, queue, arguments, deadline",
    topic="'tasks:' || queue",
    unwanted="cancelled",
    among="queue IN (SELECT value FROM json_each(?))",
)


def _by_id(row: Row) -> int:
    number: int = row[0]
    return number
