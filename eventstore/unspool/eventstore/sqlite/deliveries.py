"""Consumers and what they hold: the part of taking and giving back that messages and tasks share."""

import asyncio
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from typing import Final, TypeVar

import orjson

from unspool.eventstore.errors import StoreUnavailable
from unspool.eventstore.records import Consumer, Delivery, Message, TaskRequest
from unspool.eventstore.sqlite.facet import Facet
from unspool.eventstore.sqlite.lane import Look, Transaction
from unspool.eventstore.sqlite.leases import LIVE, MESSAGES, TASKS, owner_of

Body = TypeVar("Body", Message, TaskRequest)

Take = Callable[[Transaction, str, float], list[Delivery[Body]]]
"""Gives deliveries to an owner, at a time."""

_FORGOTTEN_SECONDS: Final = 3600.0
"""How long rows of consumers are kept that went without leaving; they count no more much earlier."""


class SqliteDeliveries(Facet):
    """Consumers coming and going, and the release of deliveries."""

    _registered: set[str]

    async def heartbeat(self, consumer: Consumer) -> None:
        """See `EventStore`."""
        owner, queues = owner_of(consumer), orjson.dumps(sorted(consumer.queues))

        def see(transaction: Transaction) -> None:
            now = self._database.monotonic()
            transaction.execute(
                "INSERT INTO consumers (owner, queues, seen_at) VALUES (?, ?, ?)"
                " ON CONFLICT DO UPDATE SET queues = excluded.queues, seen_at = excluded.seen_at",
                (owner, queues, now),
            )
            transaction.execute("DELETE FROM consumers WHERE abs(? - seen_at) > ?", (now, _FORGOTTEN_SECONDS))

        await self._database.write(see, lasting=False)
        self._registered.add(owner)

    async def deregister(self, consumer: Consumer) -> None:
        """See `EventStore`."""
        owner = owner_of(consumer)

        def forget(transaction: Transaction) -> None:
            transaction.execute("DELETE FROM consumers WHERE owner = ?", (owner,))
            MESSAGES.deregister(transaction, owner)
            TASKS.deregister(transaction, owner)

        self._registered.discard(owner)
        await self._database.write(forget, lasting=False)

    async def queues_served(self) -> frozenset[str]:
        """See `EventStore`."""
        now = self._database.monotonic()
        rows = await self._database.read(
            lambda transaction: transaction.execute(
                f"SELECT queues FROM consumers WHERE {LIVE}",  # noqa: S608 - a condition of our own
                (now,),
            ).fetchall()
        )
        return frozenset(queue for [queues] in rows for queue in orjson.loads(queues))

    async def release(
        self, deliveries: Sequence[Delivery[Message]] | Sequence[Delivery[TaskRequest]]
    ) -> None:
        """See `Inbox`."""
        await self._releasing(deliveries)

    async def _receive(
        self, consumer: Consumer, take: Take[Body], look: Look, topics: frozenset[Hashable], seconds: float
    ) -> list[Delivery[Body]]:
        """Takes what waits, or what is there first within some seconds."""
        return await self._database.sought(lambda: self._take(consumer, take, look), topics, seconds)

    async def _take(self, consumer: Consumer, take: Take[Body], look: Look) -> list[Delivery[Body]]:
        owner = owner_of(consumer)
        if owner not in self._registered:
            await self.heartbeat(consumer)
        taking = self._database.write(
            lambda transaction: take(transaction, owner, self._database.monotonic()), look, lasting=False
        )
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            taking.add_done_callback(self._give_back)
            raise

    def _give_back(self, taking: asyncio.Future[list[Delivery[Body]]]) -> None:
        """Releases what was taken for somebody who no longer waits for it."""
        if not taking.cancelled() and not taking.exception() and taking.result():
            with suppress(StoreUnavailable):
                self._releasing(taking.result()).add_done_callback(asyncio.Future.exception)

    def _releasing(
        self, deliveries: Sequence[Delivery[Message]] | Sequence[Delivery[TaskRequest]]
    ) -> asyncio.Future[None]:
        messages = [delivery for delivery in deliveries if isinstance(delivery.body, Message)]
        tasks = [delivery for delivery in deliveries if isinstance(delivery.body, TaskRequest)]

        def release(transaction: Transaction) -> None:
            MESSAGES.release(transaction, messages)
            TASKS.release(transaction, tasks)

        return self._database.write(release, lasting=False)
