"""An executor of many queues reads few streams, and misses no task."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from unspool.eventstore.consumers import Consumer
from unspool.eventstore.redis.quiet_queues import QUIET_SECONDS
from unspool.eventstore.redis.settings import RedisSettings
from unspool.eventstore.redis.store import RedisStore

QUEUES = ["a2a", "asyncapi", "container", "grpc", "http", "mcp", "openapi", "script", "shell"]
EXECUTOR = Consumer("executors", "x1", frozenset(QUEUES))
SHARDS = 16


@pytest.fixture
async def store(redis_database, stopwatch) -> AsyncIterator[RedisStore]:
    store = RedisStore(redis_database, RedisSettings(), monotonic=stopwatch)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def request_task(store, make, hands) -> Callable[[str], Awaitable[str]]:
    """Adds a task to a queue; returns its run."""
    key = await hands.started(store)
    count = 0

    async def add(queue: str) -> str:
        nonlocal count
        await store.commit(make.commit(key, after=count, tasks=(make.task(f"r{count}", queue),)))
        count += 1
        return f"r{count - 1}"

    return add


@pytest.fixture
def waiting(redis_server) -> Callable[[], Awaitable[int]]:
    """Waits until the store waits for quiet queues; returns the client of that connection."""

    async def client() -> int:
        async with asyncio.timeout(60):
            while True:
                with redis_server.admin as admin:
                    for each in admin.client_list():
                        if each["cmd"] == "xread" and "b" in each["flags"]:
                            return int(each["id"])
                await asyncio.sleep(0.02)

    return client


@pytest.fixture
def watched_queues(redis_server, waiting) -> Callable[[Awaitable[object]], Awaitable[set[str]]]:
    """Returns the queues of the last read of the second connection, after something was awaited."""

    async def queues(event: Awaitable[object]) -> set[str]:
        with redis_server.admin as admin, admin.monitor() as monitor:
            await event
            await waiting()
            admin.ping()
            read: set[str] = set()
            while (command := monitor.next_command()["command"]) != "PING":
                if command.startswith("XREAD "):
                    read = {word.rpartition(":")[2] for word in command.split() if ":tasks:" in word}
            return read

    return queues


@pytest.fixture
def read_queues(store, redis_server) -> Callable[[], Awaitable[Counter[str]]]:
    """Returns the queues of a blocking read, with the number of their streams."""

    async def queues() -> Counter[str]:
        found: Counter[str] = Counter()
        with redis_server.admin as admin, admin.monitor() as monitor:
            assert await store.receive_tasks(EXECUTOR, 10, 0.05) == []
            admin.ping()
            while (command := monitor.next_command()["command"]) != "PING":
                if command.startswith("XREADGROUP") and " BLOCK " in command:
                    found.update(word.rpartition(":")[2] for word in command.split() if ":tasks:" in word)
        return found

    return queues


async def test_an_idle_executor_gets_tasks_of_each_queue(store, request_task, waiting):
    for queue in QUEUES:
        receiving = asyncio.create_task(store.receive_tasks(EXECUTOR, 10, 60))
        await waiting()
        run = await request_task(queue)
        [delivery] = await receiving
        assert (delivery.body.queue, delivery.body.run) == (queue, run)


async def test_it_reads_the_queues_that_had_tasks_lately(
    store, request_task, waiting, read_queues, hands, stopwatch
):
    assert await store.receive_tasks(EXECUTOR, 10, 0.05) == []
    await waiting()
    assert await read_queues() == {}
    for queue in ("shell", "http"):
        await request_task(queue)
        await hands.tasks(store, consumer=EXECUTOR)
    assert await read_queues() == {"shell": SHARDS, "http": SHARDS}
    stopwatch.ahead += QUIET_SECONDS
    await request_task("grpc")
    await hands.tasks(store, consumer=EXECUTOR)
    await waiting()
    assert await read_queues() == {"grpc": SHARDS}


async def test_a_queue_whose_tasks_wait_for_a_free_executor_is_read(
    store, request_task, waiting, watched_queues, stopwatch
):
    assert await store.receive_tasks(EXECUTOR, 10, 0.05) == []
    await waiting()
    for _ in range(30):
        await request_task("shell")
    assert len(await store.receive_tasks(EXECUTOR, 10, 60)) == 10
    stopwatch.ahead += QUIET_SECONDS
    assert await watched_queues(request_task("grpc")) == {*QUEUES} - {"shell", "grpc"}


async def test_a_full_executor_leaves_tasks_of_quiet_queues_to_others(store, request_task, waiting, hands):
    assert await store.receive_tasks(EXECUTOR, 10, 0.05) == []
    await waiting()
    await request_task("shell")
    other = Consumer("executors", "x2", frozenset({"shell"}))
    [delivery] = await hands.tasks(store, consumer=other)
    assert delivery.attempts == 1
    assert await store.receive_tasks(EXECUTOR, 10, 0) == []


async def test_without_the_second_connection_it_reads_all_queues(
    store, request_task, waiting, hands, redis_server
):
    assert await store.receive_tasks(EXECUTOR, 10, 0.05) == []
    client = await waiting()
    with redis_server.admin as admin:
        admin.client_kill_filter(_id=str(client))
    receiving = asyncio.create_task(store.receive_tasks(EXECUTOR, 10, 60))
    run = await request_task("script")
    [delivery] = await receiving
    assert delivery.body.run == run
    assert await waiting() != client


async def test_tasks_of_new_tenants_arrive(store, make, hands, waiting):
    assert await store.receive_tasks(EXECUTOR, 10, 0.05) == []
    await waiting()
    for number in range(12):  # with so many, new entries are announced
        key = make.key(f"e{number}", f"tenant-{number}")
        await hands.started(store, key)
        queue = QUEUES[number % len(QUEUES)]
        await store.commit(make.commit(key, tasks=(make.task(queue=queue, execution=key.id),)))
        [delivery] = await hands.tasks(store, consumer=EXECUTOR)
        assert (delivery.key, delivery.body.queue) == (key, queue)


async def test_without_the_permission_to_end_a_read_it_reads_all_queues(
    redis_database, redis_server, store, request_task, hands
):
    with redis_server.admin as admin:
        admin.acl_setuser(
            "limited", enabled=True, passwords=["+secret"], keys=["*"], channels=["*"],
            categories=["+@all"], commands=["-client"],
        )  # fmt: skip
    limited = RedisStore(redis_database.replace("redis://", "redis://limited:secret@"), RedisSettings())
    await limited.open()
    assert await limited.receive_tasks(EXECUTOR, 10, 0.05) == []
    for queue in QUEUES:
        await request_task(queue)
        [delivery] = await hands.tasks(limited, consumer=EXECUTOR)
        assert delivery.body.queue == queue
    with redis_server.admin as admin:
        assert "xread" not in {each["cmd"] for each in admin.client_list()}
        admin.acl_deluser("limited")
    await limited.close()


@pytest.mark.parametrize("steps", range(0, 60, 3))
async def test_nothing_is_left_of_an_executor_that_leaves(redis_database, steps):
    before = asyncio.all_tasks()
    store = RedisStore(redis_database, RedisSettings())
    await store.open()
    receiving = asyncio.create_task(store.receive_tasks(EXECUTOR, 10, 60))
    for _ in range(steps):
        await asyncio.sleep(0)
    await store.deregister(EXECUTOR)
    receiving.cancel()
    await asyncio.gather(receiving, return_exceptions=True)
    await store.close()
    async with asyncio.timeout(60):
        while asyncio.all_tasks() != before:
            await asyncio.sleep(0.01)
