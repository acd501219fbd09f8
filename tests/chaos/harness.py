"""A store, services on it, the ledger they call, and the checks at the end."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import pytest
from tests.chaos.fleet import Fleet
from tests.chaos.inspection import Inspection
from tests.chaos.ledger import Ledger
from tests.chaos.oracle import check_execution
from tests.chaos.programs import ref_of, text_of

from unspool.definitions.compile import compile_plan
from unspool.definitions.document import load
from unspool.definitions.expressions import JqPool
from unspool.eventstore.consumers import WORKERS, Consumer
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import (
    Definition,
    Delivery,
    ExecutionKey,
    ExecutionRecord,
    Message,
    Start,
    Status,
)
from unspool.eventstore.retry import retry_until_available

TENANT = "default"

BOUND = 60.0
"""Seconds within which work continues after a fault, on a busy machine. A takeover takes 3 to 8 seconds."""


class Received(NamedTuple):
    """A message, and when it was received, in milliseconds since 1970."""

    message: Message
    at: int


@dataclass
class Harness:
    """The parts that a test of chosen faults uses."""

    store: EventStore
    fleet: Fleet
    inspection: Inspection
    ledger: Ledger
    service: str
    """Address of the ledger."""
    jq: JqPool
    programs: dict[ExecutionKey, str] = field(default_factory=dict)

    async def start(self, program: str, count: int = 1) -> list[ExecutionKey]:
        """Starts executions of a program."""
        await self.store.put_definition(TENANT, Definition(ref_of(program), text_of(program), 0))
        first = len(self.programs)
        keys = [ExecutionKey(TENANT, f"{program}-{number}") for number in range(first, first + count)]
        for key in keys:
            start = Start(key, ref_of(program), {"service": self.service}, time.time_ns() // 1_000_000)
            assert await self.store.start(start)
        self.programs |= dict.fromkeys(keys, program)
        return keys

    async def eventually(self, condition: Callable[[], bool], what: str) -> None:
        """Waits until a condition holds."""
        deadline = time.monotonic() + BOUND
        while not await asyncio.to_thread(condition):
            if time.monotonic() > deadline:
                pytest.fail(f"{what}; left: {self.inspection.leftovers()}\n{self.fleet.logs()}")
            await asyncio.sleep(0.02)

    async def delivered(self) -> None:
        """Waits until a worker holds a message."""
        await self.eventually(lambda: self.inspection.delivered_messages() > 0, "no worker took the message")

    async def nothing_left(self) -> None:
        """Waits until no message, task, timer or dead letter is stored."""
        await self.eventually(lambda: not self.inspection.leftovers(), "something stays in the store")

    async def event(self, key: ExecutionKey, type_: str) -> None:
        """Waits until a history has an event of a type."""
        deadline = time.monotonic() + BOUND
        while type_ not in {event.type for event in await self.store.history(key)}:
            assert time.monotonic() < deadline, f"no {type_} in {key.id}\n{self.fleet.logs()}"
            await asyncio.sleep(0.02)

    async def receive(self, count: int) -> list[Received]:
        """Waits for so many messages while no worker runs. Returns all; they stay in the inbox."""
        observer = Consumer(WORKERS, "observer")
        found: list[Received] = []
        deadline = time.monotonic() + BOUND
        while deliveries := await self._receive(observer, len(found) >= count, deadline):
            at = time.time_ns() // 1_000_000
            found += [Received(delivery.body, at) for delivery in deliveries]
        await self.store.deregister(observer)
        return found

    async def _receive(self, observer: Consumer, enough: bool, deadline: float) -> list[Delivery[Message]]:
        """Returns the next messages; if there are enough, those of the next half second."""
        while not (deliveries := await self.store.receive_messages(observer, 100, 0.5)):
            if enough:
                return []
            assert time.monotonic() < deadline, f"messages are missing; {self.inspection.leftovers()}"
        return deliveries

    async def finish(self) -> None:
        """Waits until all executions complete; checks them, their effects, and that nothing is left."""
        keys = list(self.programs)
        await asyncio.gather(*(completed(self.store, key, time.monotonic() + BOUND) for key in keys))
        await self.nothing_left()
        assert self.fleet.died() == [], self.fleet.logs()
        await self.fleet.stop()
        assert self.inspection.leftovers() == {}
        requested: set[str] = set()
        for key in keys:
            requested |= await self.check(key, "workflow.completed")
        assert set(self.ledger.arrivals.first()) == requested  # nothing ran that no history requested
        booked = sorted(path for path in self.ledger.booked.values() if path.startswith("/book/"))
        assert booked == sorted(f"/book/{key.id}" for key in keys)

    async def check(self, key: ExecutionKey, end: str) -> set[str]:
        """Checks an ended execution; returns the idempotency keys of its tasks."""
        plan = compile_plan(load(text_of(self.programs[key])).value, self.jq)
        history = await check_execution(self.store, key, plan, self.ledger.arrivals.first(), end)
        return {f"{key.id}/{event.run}" for event in history if event.type == "task.requested"}


async def completed(store: EventStore, key: ExecutionKey, deadline: float) -> None:
    """Waits until an execution has completed."""
    while time.monotonic() < deadline:
        record = await _record(store, key)
        if record.status.ended:
            assert record.status is Status.COMPLETED, await store.last_event(key)
            return
        await retry_until_available(partial(store.wait_for_version, key, record.version, 1.0))
    pytest.fail(f"{key.id} hangs: {(await store.history(key))[-3:]}; {await store.dead_letters(TENANT)}")


async def listening(store: EventStore, key: ExecutionKey, seconds: float) -> None:
    """Waits until an execution listens."""
    deadline = time.monotonic() + seconds
    while (record := await _record(store, key)).status is not Status.WAITING:
        assert time.monotonic() < deadline, f"{record} does not listen"
        await retry_until_available(partial(store.wait_for_version, key, record.version, seconds))


async def _record(store: EventStore, key: ExecutionKey) -> ExecutionRecord:
    record = await retry_until_available(partial(store.execution, key))
    assert record is not None, "an acknowledged start was lost"
    return record
