"""Tasks for executors, by queue."""

# ruff: noqa: S608 - only question marks are put into statements

from collections.abc import Collection, Sequence
from typing import Any, Final

import orjson

from unspool.eventstore.consumers import Consumer
from unspool.eventstore.records import Delivery, Message, TaskRequest
from unspool.eventstore.results import Renewal
from unspool.eventstore.sqlite.connection_thread import Precheck, Transaction
from unspool.eventstore.sqlite.deliveries import SqliteDeliveries
from unspool.eventstore.sqlite.leases import TASKS, Row, owner_of
from unspool.eventstore.sqlite.mixin import NOW, message_row, put_message
from unspool.eventstore.sqlite.notifications import queue_topic
from unspool.eventstore.sqlite.tenant_shares import THESE, in_turn

INSERT_TASK: Final = (
    "INSERT INTO tasks (tenant, execution, run, task, queue, arguments, deadline, queued_at)"
    f" VALUES (?, ?, ?, ?, ?, ?, ?, {NOW})"
)
REMOVE_WAITING_RUN: Final = (
    "DELETE FROM tasks WHERE tenant = ? AND execution = ? AND run = ? AND owner IS NULL"
)
MARK_CANCELLED: Final = "UPDATE tasks SET cancelled = 1 WHERE tenant = ? AND execution = ? AND run = ?"

_HEADS: Final = """
WITH RECURSIVE heads (id) AS (
    SELECT (SELECT id FROM tasks WHERE owner IS NULL ORDER BY queue, tenant, id LIMIT 1)
    UNION ALL
    SELECT coalesce(
        (SELECT id FROM tasks WHERE owner IS NULL AND queue = head.queue AND tenant > head.tenant
            ORDER BY tenant, id LIMIT 1),
        (SELECT id FROM tasks WHERE owner IS NULL AND queue > head.queue ORDER BY queue, tenant, id LIMIT 1)
    )
    FROM heads JOIN tasks AS head ON head.id = heads.id
)
SELECT queue, tenant, tasks.id FROM heads JOIN tasks ON tasks.id = heads.id
"""
"""The oldest waiting task of each queue and tenant. The cost grows with their number, not with tasks."""
_OLDEST: Final = "SELECT id FROM tasks WHERE owner IS NULL AND queue = ? AND tenant = ? ORDER BY id LIMIT ?"
_RENEW: Final = "UPDATE tasks SET taken_at = ? WHERE id = ? AND owner = ? RETURNING cancelled"


def task_row(tenant: str, task: TaskRequest) -> tuple[Any, ...]:
    """A task as a row of the table `tasks`."""
    arguments = orjson.dumps(task.arguments)
    return (tenant, task.execution, task.run, task.task, task.queue, arguments, task.deadline)


class SqliteTasks(SqliteDeliveries):
    """The port's `Tasks`."""

    async def receive_tasks(
        self, consumer: Consumer, limit: int, seconds: float
    ) -> list[Delivery[TaskRequest]]:
        """See `Tasks`."""
        queues = sorted(consumer.queues)

        def take(transaction: Transaction, owner: str, now: float) -> list[Delivery[TaskRequest]]:
            ids = orjson.dumps(_next(transaction, consumer.queues, limit)).decode()
            return _deliveries(TASKS.take(transaction, owner, now, THESE, (ids,)))

        topics = frozenset(queue_topic(queue) for queue in queues)
        return await self._receive(consumer, take, _any_waiting(queues), topics, seconds)

    async def reclaim_tasks(
        self, consumer: Consumer, limit: int, lease: float
    ) -> list[Delivery[TaskRequest]]:
        """See `Tasks`."""
        queues = orjson.dumps(sorted(consumer.queues)).decode()

        def take(transaction: Transaction, owner: str, now: float) -> list[Delivery[TaskRequest]]:
            return _deliveries(TASKS.reclaim(transaction, owner, self._orphaned(now, lease), limit, queues))

        precheck = TASKS.orphan_precheck(self._orphaned(self._database.monotonic(), lease), queues)
        return await self._take(consumer, take, precheck)

    async def renew_tasks(
        self, consumer: Consumer, deliveries: Sequence[Delivery[TaskRequest]]
    ) -> list[Renewal]:
        """See `Tasks`."""
        owner = owner_of(consumer)

        def renew(transaction: Transaction) -> list[Renewal]:
            now = self._database.monotonic()
            return [
                _renewal(transaction.execute(_RENEW, (now, int(delivery.id), owner)).fetchall())
                for delivery in deliveries
            ]

        return await self._database.write(renew, durable=False)

    async def finish_task(self, delivery: Delivery[TaskRequest], result: Message | None) -> None:
        """See `Tasks`."""
        row = result and message_row(delivery.tenant, result)

        def remove_and_send(transaction: Transaction) -> None:
            removed = transaction.execute("DELETE FROM tasks WHERE id = ?", (int(delivery.id),))
            if removed.rowcount and row:
                put_message(transaction, row)

        await self._database.write(remove_and_send)


def _next(transaction: Transaction, queues: Collection[str], limit: int) -> list[int]:
    """The tasks to take: a share for each tenant, over all queues the oldest first."""
    heads: dict[str, dict[str, int]] = {}
    for queue, tenant, id_ in transaction.execute(_HEADS).fetchall():
        if queue in queues:
            heads.setdefault(tenant, {})[queue] = id_

    def take(tenant: str, share: int) -> list[int]:
        found = (
            id_
            for queue in heads[tenant]
            for [id_] in transaction.execute(_OLDEST, (queue, tenant, share)).fetchall()
        )
        return sorted(found)[:share]

    return in_turn(limit, {tenant: min(of.values()) for tenant, of in heads.items()}, take)


def _any_waiting(queues: Sequence[str]) -> Precheck:
    marks = ", ".join("?" * len(queues))
    return Precheck(f"SELECT 1 FROM tasks WHERE owner IS NULL AND queue IN ({marks}) LIMIT 1", tuple(queues))


def _renewal(rows: list[tuple[int]]) -> Renewal:
    if not rows:
        return Renewal.LOST
    [[cancelled]] = rows
    return Renewal.CANCELLED if cancelled else Renewal.HELD


def _deliveries(rows: list[Row]) -> list[Delivery[TaskRequest]]:
    found: list[Delivery[TaskRequest]] = []
    for number, tenant, owner, attempts, queued_at, execution, run, task, queue, arguments, deadline in rows:
        request = TaskRequest(execution, run, task, queue, orjson.loads(arguments), deadline)
        found.append(Delivery(tenant, request, owner, str(number), attempts, queued_at))
    return found
