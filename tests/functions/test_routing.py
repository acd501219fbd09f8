"""Calls of functions with all services, on both stores: routing, versions, queues, the catalog."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from unspool.cli.node import Node
from unspool.definitions import errors
from unspool.eventstore.events import Event
from unspool.eventstore.functions import LIVE_MILLISECONDS, RegisteredFunction
from unspool.eventstore.ids import new_id
from unspool.eventstore.opening import open_store
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import (
    Commit,
    Definition,
    ExecutionKey,
    ExecutionRecord,
    Message,
    MessageKind,
    Start,
    Status,
    TaskRequest,
    WorkflowRef,
)
from unspool.executor.functions.function_set import FunctionSet
from unspool.executor.functions.loading import load_functions
from unspool.worker.function_routes import FunctionRoutes

HEAD = "document: {dsl: '1.0.3', namespace: test, name: w, version: '1.0.0'}\n"


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[EventStore]:
    opened = await open_store(store_url, {})
    yield opened
    await opened.close()


class World:
    """A store with services, and executions of small workflows."""

    def __init__(self, store: EventStore, stack: contextlib.AsyncExitStack) -> None:
        self.store = store
        self.stack = stack
        self.number = 0

    async def serve(self, *services: str, functions: FunctionSet | None = None, **environment: str) -> Node:
        """Runs services until the end of the test."""
        return await self.stack.enter_async_context(self.node(*services, functions=functions, **environment))

    def node(self, *services: str, functions: FunctionSet | None = None, **environment: str) -> Node:
        return Node(
            self.store,
            "sqlite://",
            environment=environment,
            services=services,
            functions=functions or FunctionSet(),
            only_functions=functions is not None,
        )

    async def start(self, do: str, input_: Any = None) -> ExecutionKey:
        self.number += 1
        ref = WorkflowRef("test", f"w{self.number}", "1.0.0")
        text = HEAD.replace("name: w,", f"name: {ref.name},") + f"do: {do}\n"
        await self.store.put_definition("default", Definition(ref, text, 1))
        key = ExecutionKey("default", new_id(self.number))
        await self.store.start(Start(key, ref, input_, 1))
        return key

    async def until(
        self, key: ExecutionKey, holds: Callable[[ExecutionRecord, list[str]], bool]
    ) -> ExecutionRecord:
        async with asyncio.timeout(60):
            while True:
                record = await self.store.execution(key)
                if record and holds(record, [event.type for event in await self.store.history(key)]):
                    return record
                await self.store.wait_for_version(key, record.version if record else 0, 0.2)

    async def end(self, key: ExecutionKey) -> Any:
        """The output or the error of an execution."""
        await self.until(key, lambda record, _: record.status.ended)
        last = (await self.store.history(key))[-1].data
        return last["output"] if "output" in last else last.get("error")

    async def run(self, do: str, input_: Any = None) -> Any:
        return await self.end(await self.start(do, input_))


@pytest.fixture
async def world(store: EventStore) -> AsyncIterator[World]:
    async with contextlib.AsyncExitStack() as stack:
        yield World(store, stack)


SHOP = """
    @function("who", version="1.9.0")
    def old(): return "old"

    @function("who", version="1.10.0")
    async def new(context: Context): return ["new", context.attempt]

    @function("add")
    def add(left: int, right: int) -> int: return left + right
"""
BANK = """
    @function("pay")
    def pay(order: dict): return {"paid": order["id"]}

    @function("embed", queue="gpu")
    def embed(): return "embedded"
"""


async def test_calls_reach_the_executors_that_have_the_functions(world, modules):
    shop, bank = load_functions([modules(SHOP, "shop")]), load_functions([modules(BANK, "bank")])
    await world.serve("executor", functions=shop)
    await world.serve("executor", functions=bank)
    await world.serve("worker")
    assert await world.run("[{a: {call: who}}]") == ["new", 1]
    assert await world.run("[{a: {call: 'who:1.9.0'}}]") == "old"
    assert await world.run("[{a: {call: add, with: {left: '${ .n }', right: 2}}}]", {"n": 40}) == 42
    assert await world.run(
        "[{a: {call: pay}}, {b: {call: embed, output: {as: '${ [., $input] }'}}}]", {"id": 7}
    ) == [
        "embedded",
        {"paid": 7},
    ]


async def test_an_unknown_function_faults_at_once_and_names_what_there_is(world, modules):
    await world.serve("worker")
    nothing = await world.run("[{a: {call: charge-card}}]")
    assert nothing["detail"] == "no executor has registered a function 'charge-card', or any other one"
    await world.serve("executor", functions=load_functions([modules(SHOP, "shop")]))
    for call, detail in (
        ("woh", "no executor has registered a function 'woh', did you mean 'who'?; registered are add, who"),
        (
            "who:2.0.0",
            "no executor has registered version 2.0.0 of the function 'who'; registered are 1.10.0, 1.9.0",
        ),
    ):
        error = await world.run(f"[{{a: {{call: '{call}'}}}}]")
        assert error["type"].endswith("/configuration")
        assert (error["title"], error["detail"]) == ("Unknown function", detail)
        assert error["instance"] == "/do/0/a"
    assert await world.run("[{a: {try: [{b: {call: woh}}], catch: {do: [{c: {set: '${ 1 }'}}]}}}]") == 1
    assert await world.run("[{a: {call: add, with: {left: 1, right: 2}}}]") == 3


async def test_a_known_function_waits_for_an_executor(world, modules):
    shop = load_functions([modules(SHOP, "shop")])
    async with world.node("executor", functions=shop):
        pass
    await world.serve("worker")
    key = await world.start("[{a: {call: add, with: {left: 1, right: 2}}}]")
    await world.until(key, lambda _, types: "task.requested" in types)
    assert (await world.store.execution(key)).status is not Status.FAULTED
    await world.serve("executor", functions=shop)
    assert await world.end(key) == 3


async def test_an_executor_holds_what_it_does_not_have_until_another_one_has_it(
    world, modules, store, monkeypatch
):
    """During a rolling update; the attempt is not counted."""
    shop = load_functions([modules(SHOP, "shop")])
    old = shop.only(lambda each: each.version == "1.9.0")
    await store.register_functions(
        [RegisteredFunction("who", version, "functions:shop") for version in ("1.9.0", "1.10.0")]
    )
    released, reads = [], 0
    release, functions = store.release, store.functions

    async def counting_release(deliveries):
        released.extend(deliveries)
        await release(deliveries)

    async def long_ago():
        nonlocal reads
        reads += 1
        return [
            each._replace(registered_at=0) if each.version == "1.10.0" else each for each in await functions()
        ]

    monkeypatch.setattr(store, "release", counting_release)
    monkeypatch.setattr(store, "functions", long_ago)
    await world.serve("executor", functions=old, UNSPOOL_EXECUTOR_CONCURRENCY="1")
    await world.serve("worker")
    keys = [await world.start("[{a: {call: 'who:1.10.0'}}]") for _ in range(3)]
    for key in keys:
        await world.until(key, lambda _, types: "task.progressed" in types)
    assert await world.run("[{a: {call: who}}]") == "old", "a call without a version is not handed back"
    before = reads
    async with asyncio.timeout(60):
        while reads < before + 3:
            await asyncio.sleep(0.05)
    assert released == []
    [progress] = [each for each in await store.history(keys[0]) if each.type == "task.progressed"]
    assert progress.data["progress"] == {"waitsFor": "an executor with the function who:1.10.0"}

    monkeypatch.setattr(store, "functions", functions)
    await world.serve("executor", functions=shop)
    assert [await world.end(key) for key in keys] == [["new", 1]] * 3


THREADS = """
    import threading
    begun, go = threading.Semaphore(0), threading.Event()

    @function("hold")
    def hold() -> bool:
        begun.release()
        return go.wait(60)

    @function("go")
    async def let_go() -> bool:
        go.set()
        return begun.acquire(blocking=False)
"""


async def test_calls_that_wait_for_a_thread_hold_no_slot(world, modules, store):
    functions = load_functions([modules(THREADS, "thread_functions")])
    await world.serve(
        "executor", functions=functions, UNSPOOL_EXECUTOR_CONCURRENCY="2", UNSPOOL_FUNCTION_THREADS="1"
    )
    await world.serve("worker")
    keys = [await world.start("[{a: {call: hold}}]") for _ in range(4)]

    async def progress() -> list[Any]:
        events = [event for key in keys for event in await store.history(key)]
        return [each.data["progress"] for each in events if each.type == "task.progressed"]

    async with asyncio.timeout(60):
        while len(waiting := await progress()) < 3:
            await asyncio.sleep(0.05)
    assert waiting == [{"waitsFor": "a thread for functions"}] * 3
    assert await world.run("[{a: {call: go}}]") is True
    assert [await world.end(key) for key in keys] == [True] * 4


async def test_the_latest_version_is_one_with_a_living_executor_if_there_is_one(store):
    old, new = RegisteredFunction("who", "3.0.0", "functions:old"), RegisteredFunction("who", "1.10.0", "gpu")
    await store.register_functions([old])
    [first] = await store.functions()
    while await store.now() == first.registered_at:
        await asyncio.sleep(0.001)
    await store.register_functions([new])
    request = TaskRequest("e1", "1", "/do/0/a", "function", {"name": "who", "input": {}})
    event = Event(1, "task.requested", 1, "/do/0/a", "1", {})
    commit = Commit(
        key=ExecutionKey("default", "e1"),
        commit_id="c",
        expected_version=0,
        events=(event,),
        tasks=(request,),
    )
    for later, queue in (
        (0, "functions:old"),
        (LIVE_MILLISECONDS, "gpu"),
        (2 * LIVE_MILLISECONDS, "functions:old"),
    ):
        routes = FunctionRoutes(store, lambda at=first.registered_at + later: at, errors.DEFAULT_BASE)
        assert routes.at_once(commit) is None, "it has read nothing yet"
        [routed] = (await routes.route(commit)).tasks
        assert routed.queue == queue
        assert routes.at_once(commit).tasks == (routed,)
        assert (routed.kind, routed.idempotency_key) == ("function", "e1/1")


async def test_a_function_of_the_default_catalog_is_found_without_a_fetch(world, modules, store):
    await world.serve("executor", functions=load_functions([modules(SHOP, "shop")]))
    await world.serve("worker")  # no executor of this test fetches anything
    key = await world.start(
        "[{a: {call: 'add:1.0.0@default', with: {left: 1, right: 2}}}, {b: {call: 'who:1.9.0@default'}}]"
    )
    assert await world.end(key) == "old"
    assert await world.run("[{a: {call: 'add:1.0.0@default', with: {left: 3, right: 2}}}]") == 5
    types = [event.type for event in await store.history(key)]
    assert types.count("resource.fetched") == 2


async def test_a_function_in_yaml_of_the_default_catalog_is_fetched_if_no_executor_has_it(
    world, modules, tmp_path
):
    file = tmp_path / "catalog/functions/double/1.0.0/function.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("do: [{a: {call: add, with: {left: '${ .n }', right: '${ .n }'}}}]")
    await world.serve("executor", functions=load_functions([modules(SHOP, "shop")]))
    await world.serve("executor", "worker", UNSPOOL_CATALOG=str(tmp_path / "catalog"))
    assert await world.run("[{a: {call: 'double:1.0.0@default', with: {n: 21}}}]") == 42
    missing = await world.run("[{a: {call: 'double:2.0.0@default', with: {n: 21}}}]")
    assert missing["status"] == 404


async def test_the_limit_of_a_function_delays_its_calls_and_says_so(world, modules, store):
    shop = load_functions([modules(SHOP, "shop")])
    await world.serve(
        "executor",
        functions=shop,
        UNSPOOL_LIMITS="function:add=1/d",
        UNSPOOL_EXECUTOR_STOP_GRACE_SECONDS="0.1",
    )
    await world.serve("worker")
    add = "[{a: {call: add, with: {left: 1, right: 2}}}]"
    assert await world.run(add) == 3
    key = await world.start(add)
    await world.until(key, lambda _, types: "task.progressed" in types)
    [progress] = [each for each in await store.history(key) if each.type == "task.progressed"]
    assert progress.data == {"progress": {"waitsFor": "the limit of function:add"}}
    assert await world.run("[{a: {call: who}}]") == ["new", 1]


SLOW = """
    import asyncio, threading
    begun, ended = threading.Event(), threading.Semaphore(0)

    @function("slow")
    def slow(context: Context):
        begun.set()
        while not context.cancelled:
            context.heartbeat("runs")
            threading.Event().wait(0.01)
        ended.release()

    @function("slow-async")
    async def slow_async(context: Context):
        begun.set()
        context.heartbeat("runs")
        try:
            await asyncio.sleep(600)
        finally:
            ended.release()

    @function("begun")
    def has_begun() -> bool: return begun.is_set()

    @function("ended")
    def has_ended() -> bool:
        return ended.acquire(timeout=60)

    @function("large")
    def large(): return "x" * 5000
"""


@pytest.mark.parametrize("name", ["slow", "slow-async"])
async def test_a_timeout_and_a_cancellation_reach_the_function(world, modules, store, name):
    await world.serve("executor", functions=load_functions([modules(SLOW, "slow_functions")]))
    await world.serve("worker", "timer")
    while not await world.run("[{a: {call: begun}}]"):  # on a busy machine the time may be over before
        error = await world.run(f"[{{a: {{call: {name}, timeout: {{after: {{seconds: 3}}}}}}}}]")
        assert error["type"].endswith("/timeout")
    assert await world.run("[{a: {call: ended}}]") is True
    key = await world.start(f"[{{a: {{call: {name}}}}}]")
    await world.until(key, lambda _, types: "task.requested" in types)
    await store.send("default", Message(MessageKind.CANCEL, key.id, {}))
    await world.until(key, lambda record, _: record.status is Status.CANCELLED)


async def test_a_result_above_the_limit_is_an_error(world, modules):
    functions = load_functions([modules(SLOW, "slow_functions")])
    await world.serve("executor", functions=functions, UNSPOOL_EXECUTOR_MAX_RESULT_BYTES="1000")
    await world.serve("worker")
    error = await world.run("[{a: {call: large}}]")
    assert (error["status"], error["title"]) == (500, "Result too large")
