"""Starts executions and waits for them, with little load: the driver shares the machine with the engine."""

import asyncio
import time
from typing import Any

from unspool.eventstore.ids import new_id
from unspool.eventstore.listing import ExecutionFilter
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import Definition, ExecutionKey, ExecutionRecord, Start, Status, WorkflowRef

TENANT = "default"
LIMIT_SECONDS = 120.0
"""How long an execution may take."""


def now() -> int:
    return time.time_ns() // 1_000_000


async def deploy(store: EventStore, text: str) -> WorkflowRef:
    name = text.split("name: ")[1].split(",", maxsplit=1)[0]
    ref = WorkflowRef("bench", name, "1.0.0")
    await store.put_definition(TENANT, Definition(ref, text, now()))
    return ref


async def start(store: EventStore, ref: WorkflowRef, value: Any) -> ExecutionKey:
    key = ExecutionKey(TENANT, new_id(now()))
    await store.start(Start(key, ref, value, now()))
    return key


async def start_many(store: EventStore, ref: WorkflowRef, count: int, value: Any) -> list[ExecutionKey]:
    keys: list[ExecutionKey] = []
    for _ in range(0, count, 200):
        batch = min(200, count - len(keys))
        keys += await asyncio.gather(*(start(store, ref, value) for _ in range(batch)))
    return keys


async def ended(store: EventStore, key: ExecutionKey, seconds: float = LIMIT_SECONDS) -> ExecutionRecord:
    """Waits until an execution has ended."""
    deadline = time.monotonic() + seconds
    version = 0
    while time.monotonic() < deadline:
        await store.wait_for_version(key, version, deadline - time.monotonic())
        record = await store.execution(key)
        assert record is not None
        if record.status.ended:
            assert record.status is Status.COMPLETED, record
            return record
        version = record.version
    raise TimeoutError(f"{key} has not ended")


async def none_runs(store: EventStore, ref: WorkflowRef) -> None:
    """Waits until no execution of a workflow runs, by polling."""
    workflow = (ref.namespace, ref.name)
    for status in (Status.PENDING, Status.RUNNING, Status.WAITING):
        while (await store.executions(TENANT, ExecutionFilter(frozenset({status}), workflow), limit=1)).items:
            await asyncio.sleep(0.05)


async def all_ended(store: EventStore, ref: WorkflowRef, keys: list[ExecutionKey]) -> list[ExecutionRecord]:
    """Waits until many executions have ended, by polling."""
    await none_runs(store, ref)
    records = await asyncio.gather(*(store.execution(key) for key in keys))
    found = [record for record in records if record is not None]
    assert all(record.status is Status.COMPLETED for record in found), found
    return found
