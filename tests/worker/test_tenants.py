"""Tenants that share a worker."""

import asyncio
import time
from pathlib import Path

import pytest
from tests.background import served

from unspool.definitions.expressions import JqPool
from unspool.eventstore.opening import open_store
from unspool.eventstore.records import Definition, ExecutionKey, Start, Status, WorkflowRef
from unspool.worker.service import WorkerService
from unspool.worker.settings import WorkerSettings

REF = WorkflowRef("test", "slow", "1.0.0")
TEXT = """
document: {dsl: '1.0.3', namespace: test, name: slow, version: '1.0.0'}
do: [{a: {set: {n: '${ def f: .; [limit(80000; repeat(1))] | length | select(test("x")?, true) }'}}}]
"""


async def test_slow_expressions_of_one_tenant_do_not_delay_another(tmp_path):
    # DESIGN §10
    store = await open_store(f"sqlite:///{tmp_path}/store.sqlite3", {})
    ended: list[str] = []

    async def start(tenant: str, number: int) -> ExecutionKey:
        key = ExecutionKey(tenant, f"e{number}")
        assert await store.start(Start(key, REF, None, time.time_ns() // 1_000_000))
        return key

    async def end(key: ExecutionKey) -> None:
        version = 0
        while not (record := await store.execution(key)).status.ended:
            version = record.version
            await store.wait_for_version(key, version, 1.0)
        assert record.status is Status.COMPLETED
        ended.append(key.tenant)

    with JqPool(size=1, seconds=30.0) as jq:
        service = WorkerService(store, jq, WorkerSettings(), "w1")
        for tenant in ("busy", "other"):
            await store.put_definition(tenant, Definition(REF, TEXT, 0))
        keys = [await start("busy", number) for number in range(30)]
        async with served(service):
            busy = [asyncio.create_task(end(key)) for key in keys]
            await asyncio.wait(busy, return_when=asyncio.FIRST_COMPLETED)
            await end(await start("other", 0))
            assert sum(not task.done() for task in busy) > 10
            await asyncio.gather(*busy)
    await store.close()
    assert ended.count("busy") == 30


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
async def test_many_slow_messages_of_one_tenant_leave_room_for_another(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    url = request.getfixturevalue("redis_database") if kind == "redis" else f"sqlite:///{tmp_path}/s.sqlite3"
    store = await open_store(url, {})
    for tenant in ("busy", "other"):
        await store.put_definition(tenant, Definition(REF, TEXT, 0))

    async def start(tenant: str, number: int) -> ExecutionKey:
        key = ExecutionKey(tenant, f"e{number}")
        await store.start(Start(key, REF, None, time.time_ns() // 1_000_000))
        return key

    async def ended_of(keys: list[ExecutionKey]) -> int:
        records = await asyncio.gather(*(store.execution(key) for key in keys))
        return sum(record is not None and record.status.ended for record in records)

    keys = list(await asyncio.gather(*(start("busy", number) for number in range(2000))))
    with JqPool(size=1, seconds=30.0) as jq:
        service = WorkerService(store, jq, WorkerSettings(grace_seconds=0.1), "w1")
        async with served(service), asyncio.timeout(180):
            while not await ended_of(keys):
                await asyncio.sleep(0.1)
            before = await ended_of(keys)
            other = await start("other", 0)
            while not await ended_of([other]):
                await asyncio.sleep(0.05)
            assert await ended_of(keys) - before < 10
    await store.close()
