"""The worker's loop.

An execution that has messages in hand is tended by one task, so that a process never races itself; what
arrives meanwhile waits, and is then decided on together. A task tends all executions of a batch as long as
that goes without waiting (`Express`); one that takes longer gets a task of its own (`Advancer`). Between
processes nothing is locked: whoever commits second is refused, and decides again on what it finds.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from unspool.definitions.expressions import JqRunner
from unspool.eventstore.clock import Clock, SystemClock
from unspool.eventstore.errors import StoreError, StoreMismatch
from unspool.eventstore.port import HEARTBEAT_SECONDS, EventStore
from unspool.eventstore.records import WORKERS, Consumer, Delivery, ExecutionKey, Message
from unspool.eventstore.retry import retry_until_available, run_periodically
from unspool.eventstore.store_clock import StoreClock
from unspool.worker.advancing import MOST_ATTEMPTS, Advancer
from unspool.worker.express import Express
from unspool.worker.plans import Plans
from unspool.worker.settings import WorkerSettings
from unspool.worker.states import States
from unspool.worker.steps import Steps

log = logging.getLogger(__name__)

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
        self._consumer = Consumer(WORKERS, name)
        self._clock = StoreClock(store, clock or SystemClock())
        states = States(store, settings.cached_states, settings.snapshot_every)
        plans, steps = Plans(store, jq), Steps(self._clock.now, settings.error_base)
        self._advancer = Advancer(store, plans, states, steps)
        self._express = Express(store, plans, states, steps)
        self._tending: dict[ExecutionKey, asyncio.Task[None]] = {}
        """The executions in hand, and who tends them."""
        self._waiting: dict[ExecutionKey, list[Delivery[Message]]] = {}
        """What has arrived for them meanwhile."""
        self._held: dict[ExecutionKey, list[Delivery[Message]]] = {}
        """What is being answered."""
        self._held_before: dict[ExecutionKey, list[Delivery[Message]]] = {}
        self._in_hand = 0
        self._room = asyncio.Event()
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Works until `stop` is called; then finishes what is in hand and leaves the group."""
        await retry_until_available(self._clock.adjust)
        async with asyncio.TaskGroup() as group:
            loops = [
                group.create_task(self._receive(), name="worker receives"),
                group.create_task(run_periodically(HEARTBEAT_SECONDS, self._beat), name="worker beats"),
                group.create_task(run_periodically(_RECLAIM_SECONDS, self._reclaim), name="worker reclaims"),
                group.create_task(
                    run_periodically(self._settings.lease_seconds / 4, self._hold), name="worker holds"
                ),
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
            self._put(await retry_until_available(receive))

    async def _free(self) -> int:
        """Waits for room; how many messages there is room for, at most a batch."""
        most = self._settings.concurrency * self._settings.batch
        while self._in_hand >= most:
            self._room.clear()
            await self._room.wait()
        return min(self._settings.batch, most - self._in_hand)

    async def _beat(self) -> None:
        await self._store.heartbeat(self._consumer)
        await self._clock.adjust()

    async def _hold(self) -> None:
        """Renews the leases of what takes long, or has to wait for that: it is not for others to take over.

        Else messages behind slow expressions would go from worker to worker, and as nobody's in the end to
        the dead letters.
        """
        lasting = [key for key, held in self._held.items() if self._held_before.get(key) is held]
        self._held_before = dict(self._held)
        deliveries = [d for key in lasting for d in (*self._held[key], *self._waiting.get(key, ()))]
        if deliveries:
            await self._store.renew_messages(self._consumer, deliveries)

    async def _reclaim(self) -> None:
        """Takes over what others left behind, one message at a time.

        One of them may be what killed its worker: taken together, the innocent would share its fate, and in
        the end its grave.
        """
        lease = self._settings.lease_seconds
        while orphans := await self._store.reclaim_messages(self._consumer, 1, lease):
            for delivery in orphans:
                if delivery.attempts > MOST_ATTEMPTS:
                    await self._advancer.move_to_dead_letters(
                        delivery, UnansweredTooOften(f"{MOST_ATTEMPTS} deliveries")
                    )
                else:
                    self._put([delivery])
                    while task := self._tending.get(delivery.key):  # the short way may leave it to the long
                        await asyncio.wait([task])

    def _put(self, deliveries: Sequence[Delivery[Message]]) -> None:
        """Takes messages in hand; those of executions that are in hand already wait for their turn."""
        fresh: dict[ExecutionKey, list[Delivery[Message]]] = {}
        for delivery in deliveries:
            key = delivery.key
            mailboxes = self._waiting if key in self._tending else fresh
            mailboxes.setdefault(key, []).append(delivery)
        self._in_hand += len(deliveries)
        if fresh:
            task = asyncio.create_task(self._tend_together(fresh))
            self._tending.update(dict.fromkeys(fresh, task))
            self._held.update(fresh)

    async def _tend_together(self, mailboxes: dict[ExecutionKey, list[Delivery[Message]]]) -> None:
        """Answers the messages of many executions; those that take longer get a task each."""
        while mailboxes:
            try:
                answered = await self._express.answer(mailboxes)
            except StoreMismatch:  # the loops of the service end with the same error
                answered = set()
            except Exception:  # whatever it is must not keep these executions from ever being tended again
                log.exception("a batch failed", extra={"action": "batch_failed"})
                answered = set()
            read, mailboxes = mailboxes, {}
            for key, deliveries in read.items():
                if key not in answered:
                    self._tending[key] = asyncio.create_task(self._tend(key, deliveries))
                elif arrived := self._answered(key, deliveries):
                    mailboxes[key] = arrived

    async def _tend(self, key: ExecutionKey, deliveries: list[Delivery[Message]]) -> None:
        """Answers the messages of one execution, whatever it takes."""
        while deliveries:
            try:
                await self._advancer.answer(key, deliveries)
            except StoreMismatch:
                pass  # the loops of the service end with the same error
            except Exception:  # their lease will end, and they will be delivered again
                log.exception("messages failed", extra={"action": "messages_failed", "execution": key.id})
            deliveries = self._answered(key, deliveries)

    def _answered(self, key: ExecutionKey, deliveries: list[Delivery[Message]]) -> list[Delivery[Message]]:
        """What has arrived for an execution meanwhile; with nothing it is out of hand."""
        self._in_hand -= len(deliveries)
        self._room.set()
        arrived = self._waiting.pop(key, [])
        if arrived:
            self._held[key] = arrived
        else:
            del self._tending[key], self._held[key]
        return arrived

    async def _leave(self) -> None:
        """Finishes what is in hand, or leaves it to others."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.grace_seconds):
                while self._tending:  # one task may leave work to others
                    await asyncio.wait(set(self._tending.values()))
        tending = set(self._tending.values())
        for task in tending:
            task.cancel()
        await asyncio.gather(*tending, return_exceptions=True)
        with suppress(StoreError):  # the lease will tell the others
            await self._store.deregister(self._consumer)
