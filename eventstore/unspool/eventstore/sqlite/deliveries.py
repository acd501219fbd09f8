"""Consumers, and the parts of receiving and releasing that are the same for messages and tasks."""

import asyncio
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from typing import Final, TypeVar

import orjson

from unspool.eventstore.consumers import NO_CAPACITY, NO_PAYLOAD_KEYS, Capacity, Consumer, Load, PayloadKeys
from unspool.eventstore.errors import StoreUnavailable
from unspool.eventstore.records import Delivery, Message, TaskRequest
from unspool.eventstore.sqlite.connection_thread import Precheck, Transaction
from unspool.eventstore.sqlite.leases import (
    LIVE,
    MESSAGES,
    TASKS,
    lease_parameters,
    live_parameters,
    owner_of,
)
from unspool.eventstore.sqlite.mixin import StoreMixin
from unspool.eventstore.this_process import this_process

Body = TypeVar("Body", Message, TaskRequest)

Take = Callable[[Transaction, str, float], list[Delivery[Body]]]
"""Assigns deliveries to an owner at a monotonic time; returns them."""

_ROW_KEPT_SECONDS: Final = 3600.0
"""How long the row of a consumer that never deregistered is kept. It counts as gone much earlier."""


class SqliteDeliveries(StoreMixin):
    """Heartbeat and deregistration of consumers, and the release of deliveries."""

    _registered: set[str]

    async def heartbeat(
        self,
        consumer: Consumer,
        load: Load = Load.FREE,
        capacity: Capacity = NO_CAPACITY,
        keys: PayloadKeys = NO_PAYLOAD_KEYS,
    ) -> None:
        """See `EventStore`."""
        owner, queues = owner_of(consumer), orjson.dumps(sorted(consumer.queues))
        about = orjson.dumps([list(this_process()), list(capacity), list(keys)]).decode()

        def record(transaction: Transaction) -> None:
            now = self._database.monotonic()
            transaction.execute(
                "INSERT INTO consumers (owner, queues, seen_at, load, about) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET queues = excluded.queues, seen_at = excluded.seen_at,"
                " load = excluded.load, about = excluded.about",
                (owner, queues, now, load, about),
            )
            transaction.execute("DELETE FROM consumers WHERE abs(? - seen_at) > ?", (now, _ROW_KEPT_SECONDS))

        await self._database.write(record, durable=False)
        self._registered.add(owner)

    async def deregister(self, consumer: Consumer) -> None:
        """See `EventStore`."""
        owner = owner_of(consumer)

        def remove(transaction: Transaction) -> None:
            transaction.execute("DELETE FROM consumers WHERE owner = ?", (owner,))
            MESSAGES.deregister(transaction, owner)
            TASKS.deregister(transaction, owner)

        self._registered.discard(owner)
        await self._database.write(remove, durable=False)

    async def queues_served(self) -> Counter[str]:
        """See `EventStore`."""
        now = self._database.monotonic()
        rows = await self._database.read(
            lambda transaction: transaction.execute(
                f"SELECT queues FROM consumers WHERE {LIVE}",  # noqa: S608 - the condition is a constant
                live_parameters(now, self._database.outages),
            ).fetchall()
        )
        return Counter(queue for [queues] in rows for queue in orjson.loads(queues))

    async def others_free(self, consumer: Consumer) -> int:
        """See `EventStore`."""
        now, owner = self._database.monotonic(), owner_of(consumer)
        rows = await self._database.read(
            lambda transaction: transaction.execute(
                f"SELECT queues FROM consumers WHERE {LIVE}"  # noqa: S608 - the condition is a constant
                " AND owner != ? AND substr(owner, 1, ?) = ? AND load = ?",
                (
                    *live_parameters(now, self._database.outages),
                    *(owner, len(consumer.role) + 1, f"{consumer.role}/", Load.FREE),
                ),
            ).fetchall()
        )
        return sum(consumer.queues.issubset(orjson.loads(queues)) for [queues] in rows)

    async def release(
        self, deliveries: Sequence[Delivery[Message]] | Sequence[Delivery[TaskRequest]]
    ) -> None:
        """See `Inbox`."""
        await self._submit_release(deliveries)

    async def give_back(self, deliveries: Sequence[Delivery[Message]]) -> list[Delivery[Message]]:
        """See `Inbox`. A message keeps its place, so none has to be kept."""
        await self._submit_release(deliveries)
        return []

    def _orphaned(self, now: float, lease: float) -> tuple[float, ...]:
        return lease_parameters(now, lease, self._database.outages)

    async def _receive(
        self,
        consumer: Consumer,
        take: Take[Body],
        precheck: Precheck,
        topics: frozenset[Hashable],
        seconds: float,
    ) -> list[Delivery[Body]]:
        """Takes waiting deliveries, or waits up to `seconds` for the first one."""
        return await self._database.poll_until_found(
            lambda: self._take(consumer, take, precheck), topics, seconds
        )

    async def _take(self, consumer: Consumer, take: Take[Body], precheck: Precheck) -> list[Delivery[Body]]:
        owner = owner_of(consumer)
        if owner not in self._registered:
            await self.heartbeat(consumer)
        taking = self._database.write(
            lambda transaction: take(transaction, owner, self._database.monotonic()), precheck, durable=False
        )
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            taking.add_done_callback(self._release_taken)
            raise

    def _release_taken(self, taking: asyncio.Future[list[Delivery[Body]]]) -> None:
        """Releases deliveries whose receiver was cancelled while they were taken."""
        if not taking.cancelled() and not taking.exception() and taking.result():
            with suppress(StoreUnavailable):
                self._submit_release(taking.result()).add_done_callback(asyncio.Future.exception)

    def _submit_release(
        self, deliveries: Sequence[Delivery[Message]] | Sequence[Delivery[TaskRequest]]
    ) -> asyncio.Future[None]:
        messages = [delivery for delivery in deliveries if isinstance(delivery.body, Message)]
        tasks = [delivery for delivery in deliveries if isinstance(delivery.body, TaskRequest)]

        def release(transaction: Transaction) -> None:
            MESSAGES.release(transaction, messages)
            TASKS.release(transaction, tasks)

        return self._database.write(release, durable=False)
