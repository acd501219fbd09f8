"""A worker behind slow expressions, and other workers of the same tenant (DESIGN §10)."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from benchmarks.processes import ProcessEnded, cpu_seconds
from tests.background import served
from tests.processes import children, command_line

from unspool.definitions.expressions import JqPool
from unspool.eventstore.consumers import WORKERS, Consumer, Load
from unspool.eventstore.opening import open_store
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import Definition, Delivery, ExecutionKey, Message, Start, Status, WorkflowRef
from unspool.worker.service import WorkerService
from unspool.worker.settings import WorkerSettings

SECONDS = 8.0
"""How long the slow expression runs at least while its worker is watched."""

JQ_SECONDS = 60.0
"""The limit of the slow expression, which no test reaches. No other process has it."""

SLOW, QUICK, PLAIN = (WorkflowRef("test", name, "1.0.0") for name in ("slow", "quick", "plain"))
TASKS = {
    SLOW: "{set: {n: '${ last(repeat(1)) | test(\"x\") }'}}",
    QUICK: '{set: {n: \'${ "x" | test("x") }\'}}',  # a regular expression needs real jq
    PLAIN: "{set: {n: 1}}",
}
OTHER = Consumer(WORKERS, "other")


@pytest.fixture(params=["sqlite", "redis"])
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[list[EventStore]]:
    """Two stores on one database, as two processes have them."""
    on_redis = request.param == "redis"
    url = request.getfixturevalue("redis_database") if on_redis else f"sqlite:///{tmp_path}/s.sqlite3"
    async with contextlib.AsyncExitStack() as closing:
        opened = []
        for _ in range(2):
            opened.append(await open_store(url, {}))
            closing.push_async_callback(opened[-1].close)
        for ref, task in TASKS.items():
            head = f"document: {{dsl: '1.0.3', namespace: test, name: {ref.name}, version: '1.0.0'}}\n"
            await opened[0].put_definition("default", Definition(ref, f"{head}do: [{{a: {task}}}]", 0))
        yield opened


@contextlib.asynccontextmanager
async def working(store: EventStore, name: str) -> AsyncIterator[None]:
    """A worker with one child process for jq."""
    with JqPool(size=1, seconds=JQ_SECONDS) as jq:
        service = WorkerService(store, jq, WorkerSettings(jq_processes=1, jq_seconds=JQ_SECONDS), name)
        async with served(service):
            try:
                yield
            finally:
                end_slow_expression()  # the service waits for it


def slow_processes() -> list[int]:
    """The child processes for jq that evaluate a slow expression. The others need little processor time."""
    found = []
    for each in children(os.getpid()):
        with contextlib.suppress(ProcessEnded):
            if str(JQ_SECONDS).encode() in command_line(each) and cpu_seconds([each]) > 0.5:
                found.append(each)
    return found


async def pause_slow_expression() -> None:
    """Pauses the process: the expression stays as slow, and takes no processor time from other tests."""

    async def runs() -> bool:
        return bool(slow_processes())

    await until(runs)
    [process] = slow_processes()
    os.kill(process, signal.SIGSTOP)


def end_slow_expression() -> None:
    """Ends the process, as its limits do."""
    for process in slow_processes():
        os.kill(process, signal.SIGKILL)


async def start(store: EventStore, ref: WorkflowRef, id_: str) -> ExecutionKey:
    key = ExecutionKey("default", id_)
    await store.start(Start(key, ref, None, time.time_ns() // 1_000_000))
    return key


async def status(store: EventStore, key: ExecutionKey) -> Status:
    record = await store.execution(key)
    assert record is not None
    return record.status


async def until(condition: Callable[[], Any], seconds: float = 120) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.05)


async def ended(store: EventStore, *keys: ExecutionKey) -> None:
    async def all_ended() -> bool:
        return all([(await status(store, key)).ended for key in keys])

    await until(all_ended)


async def behind_a_slow_expression(store: EventStore, *ids: str) -> tuple[ExecutionKey, list[ExecutionKey]]:
    """Makes the only worker receive quick executions while it evaluates a slow expression."""

    async def others_are_free(wanted: int) -> bool:
        return await store.others_free(OTHER) == wanted

    await until(lambda: others_are_free(1))
    slow = await start(store, SLOW, "slow")
    await until(lambda: others_are_free(0))
    await pause_slow_expression()
    quick = [await start(store, QUICK, id_) for id_ in ids]
    await ended(store, await start(store, PLAIN, "plain"))  # was received later
    return slow, quick


async def received(store: EventStore, seconds: float, load: Load) -> list[Delivery[Message]]:
    """Returns what another worker with a load receives within some seconds."""
    end = time.monotonic() + seconds
    found: list[Delivery[Message]] = []
    while not found and time.monotonic() < end:
        await store.heartbeat(OTHER, load)
        found = await store.receive_messages(OTHER, 10, 0.2)
    return found


async def test_a_quick_execution_does_not_wait_for_slow_ones_while_another_worker_is_free(stores):
    mine, others = stores
    async with working(mine, "w1"):
        slow, [quick] = await behind_a_slow_expression(mine, "quick")
        async with working(others, "w2"):
            await ended(others, quick)
            assert await status(mine, slow) is Status.PENDING
            assert await status(mine, quick) is Status.COMPLETED
            end_slow_expression()
            await ended(mine, slow)


async def test_messages_are_given_back_only_to_a_free_worker_and_not_received_again(stores):
    mine, others = stores
    async with working(mine, "w1"):
        slow, [quick] = await behind_a_slow_expression(mine, "quick")
        assert await received(others, 3, Load.BUSY) == []
        [delivery] = await received(others, 60, Load.FREE)
        assert (delivery.key, delivery.attempts) == (quick, 1)
        assert await status(mine, slow) is Status.PENDING
        later = await start(mine, PLAIN, "later")
        [delivery] = await received(others, 60, Load.FREE)
        assert delivery.key == later
        end_slow_expression()
        await ended(mine, slow)
        await others.deregister(OTHER)
        await ended(mine, quick, later)


async def test_messages_that_no_other_worker_takes_are_received_again(stores):
    mine, others = stores
    async with working(mine, "w1"):
        slow, quick = await behind_a_slow_expression(mine, *(f"quick{n}" for n in range(20)))
        end = time.monotonic() + SECONDS
        while not (await status(mine, slow)).ended:
            await others.heartbeat(OTHER, Load.FREE)
            await asyncio.sleep(0.2)
            if time.monotonic() > end:
                end_slow_expression()
        await ended(mine, *quick)
