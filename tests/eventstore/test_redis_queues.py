"""An executor of many queues reads few streams, and misses no task."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from tests.eventstore.conftest import opened_redis

from unspool.eventstore.consumers import Consumer
from unspool.eventstore.redis.quiet_queues import QUIET_SECONDS
from unspool.eventstore.redis.settings import RedisSettings
from unspool.eventstore.redis.store import RedisStore

QUEUES = ["a2a", "asyncapi", "container", "grpc", "http", "mcp", "openapi", "script", "shell"]
EXECUTOR = Consumer("executors", "x1", frozenset(QUEUES))
SHARDS = 16


@pytest.fixture
async def store(redis_database, stopwatch) -> AsyncIterator[RedisStore]:
    async with opened_redis(redis_database, stopwatch) as store:
        yield store


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
def watcher(redis_server) -> Callable[[], int | None]:
    """Returns the client of the connection that waits for quiet queues; None if it does not wait."""

    def client() -> int | None:
        with redis_server.admin as admin:
            clients = admin.client_list()
        ids = [int(each["id"]) for each in clients if each["cmd"] == "xread" and "b" in each["flags"]]
        return ids[0] if ids else None

    return client


@pytest.fixture
def waiting(watcher) -> Callable[[], Awaitable[int]]:
    """Waits until an executor that receives waits for quiet queues, too; returns the client."""

    async def client() -> int:
        async with asyncio.timeout(60):
            while (found := watcher()) is None:
                await asyncio.sleep(0.02)
        return found

    return client


@pytest.fixture
def idle(store, watcher) -> Callable[[], Awaitable[None]]:
    """Receives in vain until the executor waits for quiet queues."""

    async def receive() -> None:
        async with asyncio.timeout(60):
            while watcher() is None:
                assert await store.receive_tasks(EXECUTOR, 10, 0.05) == []

    return receive


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
def reads(store, redis_server) -> Callable[[set[str]], Awaitable[None]]:
    """Waits until a blocking read asks exactly these queues."""

    async def blocking_read() -> Counter[str]:
        found: Counter[str] = Counter()
        with redis_server.admin as admin, admin.monitor() as monitor:
            assert await store.receive_tasks(EXECUTOR, 10, 0.05) == []
            admin.ping()
            while (command := monitor.next_command()["command"]) != "PING":
                if command.startswith("XREADGROUP") and " BLOCK " in command:
                    found.update(word.rpartition(":")[2] for word in command.split() if ":tasks:" in word)
        return found

    async def until(queues: set[str]) -> None:
        async with asyncio.timeout(60):
            while await blocking_read() != dict.fromkeys(queues, SHARDS):
                pass

    return until


async def test_an_idle_executor_gets_tasks_of_each_queue(store, request_task, waiting):
    for queue in QUEUES:
        receiving = asyncio.create_task(store.receive_tasks(EXECUTOR, 10, 60))
        await waiting()
        run = await request_task(queue)
        [delivery] = await receiving
        assert (delivery.body.queue, delivery.body.run) == (queue, run)


async def test_it_reads_the_queues_that_had_tasks_lately(store, request_task, idle, reads, hands, stopwatch):
    await idle()
    await reads(set())
    for queue in ("shell", "http"):
        await request_task(queue)
        await hands.tasks(store, consumer=EXECUTOR)
    await reads({"shell", "http"})
    stopwatch.ahead += QUIET_SECONDS
    await request_task("grpc")
    await hands.tasks(store, consumer=EXECUTOR)
    await reads({"grpc"})


async def test_a_queue_whose_tasks_wait_for_a_free_executor_is_read(
    store, request_task, idle, watched_queues, stopwatch
):
    await idle()
    for _ in range(30):
        await request_task("shell")
    assert len(await store.receive_tasks(EXECUTOR, 10, 60)) == 10
    stopwatch.ahead += QUIET_SECONDS
    assert await watched_queues(request_task("grpc")) == {*QUEUES} - {"shell", "grpc"}


async def test_a_full_executor_leaves_tasks_of_quiet_queues_to_others(store, request_task, idle, hands):
    await idle()
    await request_task("shell")
    other = Consumer("executors", "x2", frozenset({"shell"}))
    [delivery] = await hands.tasks(store, consumer=other)
    assert delivery.attempts == 1
    assert await store.receive_tasks(EXECUTOR, 10, 0) == []


async def test_without_the_second_connection_it_reads_all_queues(
    store, request_task, idle, waiting, redis_server
):
    await idle()
    client = await waiting()
    with redis_server.admin as admin:
        admin.client_kill_filter(_id=str(client))
    receiving = asyncio.create_task(store.receive_tasks(EXECUTOR, 10, 60))
    run = await request_task("script")
    [delivery] = await receiving
    assert delivery.body.run == run
    assert await waiting() != client


async def test_tasks_of_new_tenants_arrive(store, make, hands, idle):
    await idle()
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
