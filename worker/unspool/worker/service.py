"""The worker's loop.

An execution that has messages in hand is tended by one task, so that a process never races itself; what
arrives meanwhile waits in the execution's mailbox and is then decided on together. Between processes
nothing is locked: whoever commits second is refused, and decides again on what it finds.
"""

import asyncio
from functools import partial
from typing import Final

from unspool.definitions.expressions import JqRunner
from unspool.eventstore.clock import Clock, SystemClock
from unspool.eventstore.errors import StoreError
from unspool.eventstore.patience import every, patiently
from unspool.eventstore.port import BEAT_SECONDS, EventStore
from unspool.eventstore.records import Consumer, Delivery, ExecutionKey, Message
from unspool.worker.advancing import MOST_ATTEMPTS, Advancer
from unspool.worker.plans import Plans
from unspool.worker.settings import WorkerSettings
from unspool.worker.states import States
from unspool.worker.store_clock import StoreClock

_WAIT_SECONDS: Final = 1.0
_RECLAIM_SECONDS: Final = 2.0


class UnansweredTooOften(Exception):
    """Whoever took the message never answered; it may be what killed them."""


class WorkerService:
    """Interprets executions until it is stopped."""

    def __init__(
        self,
        store: EventStore,
        jq: JqRunner,
        settings: WorkerSettings,
        name: str,
        clock: Clock | None = None,
    ) -> None:
        self._store = store
        self._settings = settings
        self._consumer = Consumer("workers", name)
        self._clock = StoreClock(store, clock or SystemClock())
        states = States(store, settings.cached_states, settings.snapshot_every)
        self._advancer = Advancer(store, Plans(store, jq), states, self._clock.now, settings.error_base)
        self._mailboxes: dict[ExecutionKey, list[Delivery[Message]]] = {}
        self._tending: dict[ExecutionKey, asyncio.Task[None]] = {}
        self._in_hand = 0
        self._room = asyncio.Event()
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Works until `stop` is called; then finishes what is in hand and leaves the group."""
        await patiently(self._clock.adjust)
        async with asyncio.TaskGroup() as group:
            loops = [
                group.create_task(self._receive(), name="worker receives"),
                group.create_task(every(BEAT_SECONDS, self._beat), name="worker beats"),
                group.create_task(every(_RECLAIM_SECONDS, self._reclaim), name="worker reclaims"),
            ]
            await self._stopping.wait()
            for loop in loops:
                loop.cancel()
        await self._leave()

    def stop(self) -> None:
        """Asks the worker to finish."""
        self._stopping.set()

    async def _receive(self) -> None:
        while True:
            limit = await self._free()
            receive = partial(self._store.receive_messages, self._consumer, limit, _WAIT_SECONDS)
            deliveries = await patiently(receive)
            for delivery in deliveries:
                self._put(delivery)

    async def _free(self) -> int:
        """Waits for room; how many messages there is room for, at most a batch."""
        most = self._settings.concurrency * self._settings.batch
        while self._in_hand >= most:
            self._room.clear()
            await self._room.wait()
        return min(self._settings.batch, most - self._in_hand)

    async def _beat(self) -> None:
        await self._store.beat(self._consumer)
        await self._clock.adjust()

    async def _reclaim(self) -> None:
        """Takes over what others left behind, one message at a time.

        One of them may be what killed its worker: taken together, the innocent would share its fate, and in
        the end its grave.
        """
        lease = self._settings.lease
        while orphans := await self._store.reclaim_messages(self._consumer, 1, lease):
            for delivery in orphans:
                if delivery.attempts > MOST_ATTEMPTS:
                    await self._advancer.bury(delivery, UnansweredTooOften(f"{MOST_ATTEMPTS} deliveries"))
                else:
                    self._put(delivery)
                    await asyncio.wait([self._tending[delivery.key]])

    # -- mailboxes

    def _put(self, delivery: Delivery[Message]) -> None:
        self._in_hand += 1
        mailbox = self._mailboxes.setdefault(delivery.key, [])
        mailbox.append(delivery)
        if delivery.key not in self._tending:
            self._tending[delivery.key] = asyncio.create_task(self._tend(delivery.key, mailbox))

    async def _tend(self, key: ExecutionKey, mailbox: list[Delivery[Message]]) -> None:
        """Works off an execution's mailbox."""
        try:
            while mailbox:
                deliveries = mailbox[:]
                await self._advancer.answer(key, deliveries)
                del mailbox[: len(deliveries)]
                self._in_hand -= len(deliveries)
                self._room.set()
        finally:
            self._in_hand -= len(mailbox)
            del self._mailboxes[key], self._tending[key]

    async def _leave(self) -> None:
        """Finishes what is in hand, or leaves it to others."""
        tending = list(self._tending.values())
        if tending:
            await asyncio.wait(tending, timeout=self._settings.grace)
        for task in tending:
            task.cancel()
        await asyncio.gather(*tending, return_exceptions=True)
        try:
            await self._store.leave(self._consumer)
        except StoreError:
            return  # the lease will tell the others
