"""What operators see of a store on SQLite: its services and what waits in it."""

from collections.abc import Collection
from typing import Any, Final

import orjson

from unspool.eventstore.consumers import NO_PAYLOAD_KEYS, Capacity, Load, payload_keys_of
from unspool.eventstore.operations import Backlog, Inspection, LiveConsumer, Waiting
from unspool.eventstore.sqlite.connection_thread import Transaction
from unspool.eventstore.sqlite.deliveries import SqliteDeliveries
from unspool.eventstore.sqlite.inspection import inspected
from unspool.eventstore.sqlite.leases import LIVE, live_parameters
from unspool.eventstore.this_process import Process

_CONSUMERS: Final = f"SELECT owner, queues, load, about FROM consumers WHERE {LIVE} ORDER BY owner"  # noqa: S608 - a constant
_INBOX: Final = "SELECT count(*), (SELECT count(*) FROM inbox WHERE owner > '') FROM inbox"
# Without the index: the oldest message is among the first rows, because only held ones are before it.
_OLDEST_MESSAGE: Final = "SELECT queued_at FROM inbox NOT INDEXED WHERE owner IS NULL ORDER BY id LIMIT 1"
_TASKS: Final = (
    "SELECT queue, sum(owner IS NULL), sum(owner > ''), min(CASE WHEN owner IS NULL THEN id END)"
    " FROM tasks GROUP BY queue"
)
_TASK: Final = "SELECT queued_at FROM tasks WHERE id = ?"
_DEAD_LETTERS: Final = "SELECT count(*), min(buried_at) FROM dead_letters"
_NEXT_TIMER: Final = "SELECT min(due_at) FROM timers"


class SqliteOperations(SqliteDeliveries):
    """The port's `Operations`."""

    async def live_consumers(self) -> list[LiveConsumer]:
        """See `Operations`."""
        live = live_parameters(self._database.monotonic(), self._database.outages)
        rows = await self._database.read(lambda transaction: transaction.execute(_CONSUMERS, live).fetchall())
        return [_consumer(*row) for row in rows]

    async def backlog(self, queues: Collection[str]) -> Backlog:
        """See `Operations`."""

        def read(transaction: Transaction) -> Backlog:
            count, oldest = transaction.execute(_DEAD_LETTERS).fetchone()
            [next_timer_at] = transaction.execute(_NEXT_TIMER).fetchone()
            tasks = {name: Waiting() for name in sorted(queues)} | _tasks(transaction)
            return Backlog(_inbox(transaction), tasks, Waiting(count, 0, oldest), next_timer_at)

        return await self._database.read(read)

    def missing_keys(self) -> list[str]:
        """See `Operations`. An adapter reads no payloads, so it needs no keys."""
        return []

    async def inspect(self) -> Inspection:
        """See `Operations`."""
        return await inspected(self._database)


def _inbox(transaction: Transaction) -> Waiting:
    count, held = transaction.execute(_INBOX).fetchone()
    oldest = transaction.execute(_OLDEST_MESSAGE).fetchone()
    return Waiting(count - held, held, oldest[0] or None if oldest else None)


def _tasks(transaction: Transaction) -> dict[str, Waiting]:
    return {
        queue: Waiting(waiting, held or 0, _queued_at(transaction, oldest))
        for queue, waiting, held, oldest in transaction.execute(_TASKS).fetchall()
    }


def _queued_at(transaction: Transaction, task: int | None) -> int | None:
    """When a task was added; None without a task, or for one of release 0.1."""
    row = None if task is None else transaction.execute(_TASK, (task,)).fetchone()
    return row[0] or None if row else None


def _consumer(owner: str, queues: bytes, load: str, about: str) -> LiveConsumer:
    role, _, name = owner.partition("/")
    told: list[Any] = orjson.loads(about)
    return LiveConsumer(
        role,
        name,
        tuple(orjson.loads(queues)),
        Load(load),
        Capacity(*told[1]) if told else Capacity(),
        Process(*told[0]) if told else None,
        keys=payload_keys_of(told[2]) if len(told) > 2 else NO_PAYLOAD_KEYS,  # earlier releases tell none
    )
