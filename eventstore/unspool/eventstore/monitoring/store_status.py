"""What a store says of itself, read from time to time: for metrics, health checks and lists of services."""

import asyncio
import logging
import math
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from unspool.eventstore.errors import StoreError
from unspool.eventstore.operations import Backlog, LiveConsumer, Waiting
from unspool.eventstore.port import EventStore

log = logging.getLogger(__name__)

_FRESH_SECONDS: Final = 2.0
_SHARE: Final = 20
"""The status is read at most for a twentieth of the time: reading takes long with many tenants."""

_WAIT_SECONDS: Final = 2.0
"""How long a reader waits for a store that is slow or away. Then it gets what was known before."""


NOTHING: Final = Backlog(Waiting(), {}, Waiting(), None)


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """The state of a store at one time."""

    up: bool = False
    """Whether it has answered."""
    now: int = 0
    """Its clock, milliseconds since 1970."""
    round_trip: float = 0.0
    """Seconds."""
    consumers: list[LiveConsumer] = field(default_factory=list)
    backlog: Backlog = NOTHING

    def age(self, waiting: Waiting) -> float:
        """For how many seconds the oldest entry of a queue has waited."""
        return 0.0 if waiting.oldest_at is None else max(0, self.now - waiting.oldest_at) / 1000

    def age_of_tasks(self, queue: str) -> float:
        """For how many seconds the oldest task of a queue has waited."""
        return self.age(self.backlog.tasks.get(queue, Waiting()))

    @property
    def timer_late(self) -> float:
        """By how many seconds the earliest timer is late."""
        due = self.backlog.next_timer_at
        return 0.0 if due is None else max(0, self.now - due) / 1000

    def serving(self, queue: str) -> int:
        """How many live services take from a task queue."""
        return sum(queue in consumer.queues for consumer in self.consumers)


class StoreStatusReader:
    """Reads the status of a store, but not too often, and never lets a caller wait long."""

    def __init__(self, store: EventStore, queues: Collection[str]) -> None:
        """Takes the task queues that are known without executors."""
        self._store = store
        self._queues = frozenset(queues)
        self.last = StoreStatus()
        """The last known status."""
        self._reading: asyncio.Task[None] | None = None
        self._next_at = -math.inf

    async def read(self) -> StoreStatus:
        """Returns the last known status, a new one if that takes no more than two seconds."""
        if self._reading is None and time.monotonic() >= self._next_at:
            self._reading = asyncio.create_task(self._read())
        if self._reading is not None:
            await asyncio.wait([self._reading], timeout=_WAIT_SECONDS)
        return self.last

    async def close(self) -> None:
        """Ends a reading that is under way."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])

    async def _read(self) -> None:
        began = time.monotonic()
        try:
            self.last = await read_status(self._store, self._queues)
        except StoreError as error:
            log.info("the status of the store is not known: %s", error)
            self.last = StoreStatus()
        finally:
            took = time.monotonic() - began
            self._next_at = time.monotonic() + max(_FRESH_SECONDS, took * _SHARE)
            self._reading = None


async def read_status(store: EventStore, queues: Collection[str]) -> StoreStatus:
    """Reads the status of a store: of these task queues, and of those that executors have named.

    Raises:
        StoreError: the store does not answer.
    """
    began = time.perf_counter()
    now = await store.now()
    round_trip = time.perf_counter() - began
    consumers = await store.live_consumers()
    registered = {function.queue for function in await store.functions()}
    served = {queue for consumer in consumers for queue in consumer.queues}
    backlog = await store.backlog({*queues, *registered, *served})
    return StoreStatus(True, now, round_trip, consumers, backlog)
