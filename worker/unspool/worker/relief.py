"""Gives messages that wait behind slow expressions to workers that are free.

A worker receives messages before it knows that they are slow. It gives back those that it has not begun with,
its share excepted, so each moves a few times at most: only a worker with a free thread gets more. Meanwhile
it does not receive messages of these tenants, because it would get the same ones again.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final

from unspool.eventstore.consumers import Consumer, Load
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import Delivery, ExecutionKey, Message
from unspool.worker.tenant_threads import TenantThreads, Work

RELIEF_SECONDS: Final = 0.5
"""Interval of `Relief.relieve`."""

_WAIT_SECONDS: Final = 1.0
"""Wait of the oldest work after which a worker is full."""

_PAUSE_SECONDS: Final = 3.0
"""Time between two times that messages are given back. By then, the heartbeat of a worker that took the first
ones says so."""


class GivenBack(Exception):
    """The messages of an execution went to another worker before the work on them began."""

    def __init__(self, deliveries: Sequence[Delivery[Message]]) -> None:
        super().__init__()
        self.deliveries = deliveries


class Relief:
    """The relief of one worker."""

    def __init__(
        self,
        store: EventStore,
        consumer: Consumer,
        threads: TenantThreads,
        held: Callable[[ExecutionKey], list[Delivery[Message]]],
    ) -> None:
        """Takes the worker's threads, and a function that returns all messages it holds of an execution."""
        self._store = store
        self._consumer = consumer
        self._threads = threads
        self._held = held
        self._given_back_at = -_PAUSE_SECONDS
        self.left_to_others: frozenset[str] = frozenset()
        """The tenants whose messages the worker must not receive now."""

    @property
    def load(self) -> Load:
        """The load that other workers see."""
        if not self._threads.all_busy:
            return Load.FREE
        return Load.FULL if self._threads.longest_wait() > _WAIT_SECONDS else Load.BUSY

    async def relieve(self, skipped: Callable[[], frozenset[str] | None]) -> None:
        """Gives back messages if the worker is full and another one is free.

        Args:
            skipped: returns the tenants that a present call to receive messages skips, and None without such
                a call. It would receive again at once what is given back of another tenant, so that waits.
        """
        load = self.load
        if load is Load.FREE or (load is Load.BUSY and not self.left_to_others):
            self.left_to_others = frozenset()
            return
        others = await self._store.others_free(self._consumer)
        if not others:
            self.left_to_others = frozenset()
            return
        self.left_to_others |= frozenset(self._threads.waiting())
        due = time.monotonic() >= self._given_back_at + _PAUSE_SECONDS
        present = skipped()
        if load is Load.FULL and due and (present is None or self.left_to_others <= present):
            await self._give_back(self._threads.take_waiting(others))

    async def _give_back(self, some: Sequence[Work]) -> None:
        held = {work.key: self._held(work.key) for work in some}
        kept = set(held)  # if the call fails
        try:
            left = await self._store.give_back([delivery for key in held for delivery in held[key]])
            kept = {delivery.key for delivery in left}
            self._given_back_at = time.monotonic()
        finally:
            for work in some:
                if work.key in kept:
                    self._threads.add(work)
                else:
                    work.fail(GivenBack(held[work.key]))
