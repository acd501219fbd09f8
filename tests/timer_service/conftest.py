"""A store of each kind, executions that set timers, and timer services."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import pytest
from tests.background import served

from unspool.eventstore.consumers import Consumer
from unspool.eventstore.events import Event
from unspool.eventstore.opening import open_store
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import (
    Commit,
    ExecutionKey,
    IndexUpdate,
    MessageKind,
    Start,
    Status,
    Timer,
    WorkflowRef,
)
from unspool.eventstore.results import Outcome
from unspool.timer_service import TimerService, TimerSettings

WORKER = Consumer("workers", "tester")


@dataclass
class Timers:
    """Sets timers as a worker does, and receives their messages."""

    store: EventStore
    due: dict[tuple[str, str], int] = field(default_factory=dict)
    versions: Counter[str] = field(default_factory=Counter)

    async def set(self, execution: str, *timers: Timer, cancel: tuple[str, ...] = ()) -> None:
        """Commits a step that sets timers and cancels some."""
        key = ExecutionKey("default", execution)
        version, now = self.versions[execution], await self.store.now()
        if version == 0:
            await self.store.start(Start(key, WorkflowRef("shop", "nap", "1.0.0"), {}, now))
        self.versions[execution] += 1
        commit = Commit(
            key=key,
            commit_id=f"{execution}-{version}",
            expected_version=version,
            events=(Event(version + 1, "timer.scheduled", now, None, None, {}),),
            timers=timers,
            timers_cancelled=cancel,
            index=IndexUpdate(Status.WAITING),
        )
        assert await self.store.commit(commit) is Outcome.COMMITTED
        self.due |= {(execution, timer.id): timer.due_at for timer in timers}
        for cancelled in cancel:
            del self.due[execution, cancelled]

    async def fired(self, seconds: float = 25) -> dict[tuple[str, str], int]:
        """Lateness of each timer in milliseconds, by the store's clock, once all that were set have fired.

        Waits 0.2 s longer than needed, to detect a timer that fires twice.
        """
        lateness: dict[tuple[str, str], int] = {}
        async with asyncio.timeout(seconds):
            while len(lateness) < len(self.due):
                await self._take(lateness, 1)
        await self._take(lateness, 0.2)
        return lateness

    async def _take(self, lateness: dict[tuple[str, str], int], seconds: float) -> None:
        deliveries = await self.store.receive_messages(WORKER, 500, seconds)
        now = await self.store.now()
        for delivery in deliveries:
            if delivery.body.kind is MessageKind.TIMER_FIRED:
                name = (delivery.body.execution, delivery.body.body["timer"])
                assert name not in lateness, f"{name} fired twice"
                lateness[name] = now - self.due[name]
        await self.store.acknowledge(deliveries)


@asynccontextmanager
async def running(*services: TimerService) -> AsyncIterator[None]:
    """Runs services until the block ends."""
    async with AsyncExitStack() as stack:
        for service in services:
            await stack.enter_async_context(served(service))
        yield


@pytest.fixture
async def store(store_url) -> AsyncIterator[EventStore]:
    """The store, opened as by a worker."""
    opened = await open_store(store_url, {})
    yield opened
    await opened.close()


@pytest.fixture
async def another_store(store_url, store) -> AsyncIterator[EventStore]:
    """The same store, opened a second time as by another process."""
    opened = await open_store(store_url, {})
    yield opened
    await opened.close()


@pytest.fixture
def timers(store) -> Timers:
    """Timers of executions in the store."""
    return Timers(store)


@pytest.fixture
def service(store) -> TimerService:
    """A service on the store."""
    return TimerService(store, TimerSettings())


@pytest.fixture(name="running")
def running_fixture():
    """Runs services within a block."""
    return running
