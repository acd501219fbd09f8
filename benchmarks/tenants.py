"""Measures the way of a message to its worker with many tenants, while a timer service fires timers."""

import asyncio
import time
from statistics import median

from benchmarks import driver, processes
from benchmarks.measurements import Figures, percentile
from unspool.eventstore.consumers import Consumer
from unspool.eventstore.events import Event
from unspool.eventstore.ids import new_id
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import (
    Commit,
    Delivery,
    ExecutionKey,
    Message,
    MessageKind,
    Start,
    Timer,
    WorkflowRef,
)

REF = WorkflowRef("bench", "tenants", "1.0.0")
WORKER = Consumer("workers", "bench")
PAUSE_SECONDS = 0.02
TIMER_MS = 100


class _Receiver:
    """Receives messages as a worker does. Answers each start with a timer."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self.received_at: dict[str, float] = {}
        self.late: dict[str, float] = {}
        self._due: dict[str, int] = {}

    async def run(self) -> None:
        while True:
            for delivery in await self._store.receive_messages(WORKER, 128, 1.0):
                await self._take(delivery)

    async def all_fired(self, count: int) -> None:
        """Waits until so many timers have fired."""
        async with asyncio.timeout(60):
            while len(self.late) < count:
                await asyncio.sleep(0.05)

    async def _take(self, delivery: Delivery[Message]) -> None:
        id_ = delivery.key.id
        if delivery.body.kind is MessageKind.TIMER_FIRED:
            self.late[id_] = driver.now() - self._due[id_]
            await self._store.acknowledge([delivery])
            return
        self.received_at[id_] = time.perf_counter()
        self._due[id_] = due_at = driver.now() + TIMER_MS
        event = Event(1, "timer.scheduled", driver.now(), None, None, {})
        await self._store.commit(
            Commit(
                key=delivery.key,
                commit_id=new_id(driver.now()),
                expected_version=0,
                events=(event,),
                timers=(Timer("t", due_at),),
                acknowledges=(delivery,),
            )
        )


async def start_to_receipt(url: str, tenants: int, count: int) -> Figures:
    """Measures the time from a start to the receipt of its message; one start at a time, tenant by tenant.

    Each sets a timer, so the timer service wakes for each start twice.
    """
    async with processes.opened(url) as store, processes.opened(url) as receiving:
        receiver = _Receiver(receiving)
        with processes.services(url, "timer"):
            tasks = [asyncio.create_task(receiver.run()), asyncio.create_task(_heartbeats(receiving))]
            await processes.wait_for_startup()
            await _start(store, tenants, tenants)  # so that the receiver knows all tenants
            await receiver.all_fired(tenants)
            started = await _start(store, tenants, count, PAUSE_SECONDS)
            await receiver.all_fired(tenants + count)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    times = [(receiver.received_at[id_] - at) * 1000 for id_, at in started.items()]
    late = [receiver.late[id_] for id_ in started]
    assert min(late) >= 0, "a timer fired early"
    return {
        "p50 ms": median(times),
        "p99 ms": percentile(times, 0.99),
        "p50 ms late": median(late),
        "p99 ms late": percentile(late, 0.99),
    }


async def _start(store: EventStore, tenants: int, count: int, pause: float = 0.0) -> dict[str, float]:
    """Starts executions, tenant by tenant; returns the time of each start by id."""
    started: dict[str, float] = {}
    for number in range(count):
        key = ExecutionKey(f"tenant-{number * 37 % tenants}", new_id(driver.now()))
        started[key.id] = time.perf_counter()
        await store.start(Start(key, REF, {}, driver.now()))
        await asyncio.sleep(pause)
    return started


async def _heartbeats(store: EventStore) -> None:
    while True:
        await store.heartbeat(WORKER)
        await asyncio.sleep(1)
