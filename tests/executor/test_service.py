"""The executor service on real stores (DESIGN §6; port.py)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from unspool.definitions.errors import runtime
from unspool.eventstore.clock import SystemClock
from unspool.eventstore.consumers import Consumer
from unspool.eventstore.errors import StoreUnavailable
from unspool.eventstore.events import Event
from unspool.eventstore.ids import new_id
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import (
    Commit,
    ExecutionKey,
    Message,
    MessageKind,
    Start,
    TaskRequest,
    WorkflowRef,
)
from unspool.eventstore.redis.settings import RedisSettings
from unspool.eventstore.redis.store import RedisStore
from unspool.eventstore.sqlite.settings import SqliteSettings
from unspool.eventstore.sqlite.store import SqliteStore
from unspool.executor.limits.limits import Limits
from unspool.executor.outcome import Completed, Faulted, Handler, Outcome
from unspool.executor.service import ExecutorService
from unspool.executor.settings import ExecutorSettings
from unspool.executor.task_context import TaskContext

WORKER = Consumer("workers", "w1")
OTHER_EXECUTOR = Consumer("executors", "other", frozenset({"test"}))


@pytest.fixture(params=["sqlite", "redis"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EventStore]:
    if request.param == "sqlite":
        store = SqliteStore(tmp_path / "store.sqlite3", SqliteSettings())
    else:
        store = RedisStore(request.getfixturevalue("redis_database"), RedisSettings())
    await store.open()
    yield store
    await store.close()


class Engine:
    """Acts as the worker: requests tasks by commits and receives their results."""

    def __init__(self, store: EventStore):
        self.store = store
        self.versions: dict[str, int] = {}
        self.results: dict[str, Message] = {}

    async def ask(self, *runs: str, execution: str = "e1", deadline: int | None = None, **arguments) -> None:
        key = ExecutionKey("default", execution)
        if execution not in self.versions:
            self.versions[execution] = 0
            await self.store.start(Start(key, WorkflowRef("n", "w", "1.0.0"), {}, SystemClock().now()))
        tasks = tuple(
            TaskRequest(execution, run, "/do/0/test", "test", {"run": run, **arguments}, deadline)
            for run in runs
        )
        await self._commit(key, tasks=tasks)

    async def cancel(self, run: str, execution: str = "e1") -> None:
        await self._commit(ExecutionKey("default", execution), tasks_cancelled=(run,))

    async def _commit(self, key: ExecutionKey, **changes) -> None:
        version = self.versions[key.id]
        event = Event(version + 1, "task.requested", SystemClock().now(), "/do/0/test", "r", {})
        self.versions[key.id] = version + 1
        await self.store.commit(
            Commit(
                key=key,
                commit_id=new_id(SystemClock().now()),
                expected_version=version,
                events=(event,),
                **changes,
            )
        )

    async def result(self, run: str, seconds: float = 60.0) -> Message:
        async with asyncio.timeout(seconds):
            while run not in self.results:
                deliveries = await self.store.receive_messages(WORKER, 100, 0.2)
                await self.store.acknowledge(deliveries)
                for delivery in deliveries:
                    if delivery.body.kind not in {MessageKind.START, MessageKind.TASK_PROGRESSED}:
                        assert delivery.body.body["run"] not in self.results, "a result came twice"
                        self.results[delivery.body.body["run"]] = delivery.body
        return self.results[run]

    async def wait_for_earlier_tasks(self, run: str = "after") -> None:
        """Waits for the result of a new task, so that the results of earlier tasks have arrived."""
        await self.ask(run)
        await self.result(run)


@pytest.fixture
def engine(store: EventStore) -> Engine:
    return Engine(store)


@dataclass
class Served:
    """A running executor."""

    service: ExecutorService
    task: asyncio.Task[None]


Serve = Callable[..., Served]


@pytest.fixture
async def serve(store: EventStore) -> AsyncIterator[Serve]:
    """Starts an executor with a handler for the queue `test`; all are stopped after the test."""
    async with contextlib.AsyncExitStack() as stack:

        def start(handler: Handler, name: str = "x1", **values) -> Served:
            settings = ExecutorSettings(**{"stop_grace_seconds": 0.1, **values})
            service = ExecutorService(store, {"test": handler}, settings, name, SystemClock())
            served = Served(service, asyncio.create_task(service.run()))
            stack.push_async_callback(finish, served)
            return served

        async def finish(served: Served) -> None:
            served.service.stop()
            with contextlib.suppress(asyncio.CancelledError):
                await served.task

        yield start


async def echo(request: TaskRequest, _: TaskContext) -> Outcome:
    return Completed(request.arguments)


class Blocker:
    """A handler that waits until `open` is set, and records which runs began and were cancelled."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.cancelled: list[str] = []
        self.open = asyncio.Event()

    async def __call__(self, request: TaskRequest, _: TaskContext) -> Outcome:
        self.begun.append(request.run)
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.cancelled.append(request.run)
            raise
        return Completed("released")


async def test_results_reach_their_execution(engine, serve) -> None:
    async def half(request: TaskRequest, _: TaskContext) -> Outcome:
        return Faulted(runtime("odd")) if request.run == "r1" else Completed({"run": request.run})

    serve(half)
    await engine.ask("r1", "r2")
    faulted, completed = await engine.result("r1"), await engine.result("r2")
    assert faulted == Message(
        MessageKind.TASK_FAULTED, "e1", {"run": "r1", "error": runtime("odd").to_json()}
    )
    assert completed == Message(MessageKind.TASK_COMPLETED, "e1", {"run": "r2", "output": {"run": "r2"}})


async def test_no_more_tasks_at_once_than_allowed(engine, serve) -> None:
    most = now = 0

    async def count(_: TaskRequest, context: TaskContext) -> Outcome:
        nonlocal most, now
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.02)
        now -= 1
        return Completed(None)

    serve(count, concurrency=3)
    runs = [f"r{n}" for n in range(12)]
    await engine.ask(*runs)
    for run in runs:
        await engine.result(run)
    assert most == 3


async def test_cancel_reaches_a_running_task(engine, serve, eventually, store) -> None:
    blocker = Blocker()
    serve(blocker)
    await engine.ask("r1")
    await eventually(lambda: blocker.begun == ["r1"], "the task runs")
    await engine.cancel("r1")
    await eventually(lambda: blocker.cancelled == ["r1"], "the task is cancelled")
    with pytest.raises(TimeoutError):
        await engine.result("r1", seconds=1)
    assert await store.reclaim_tasks(OTHER_EXECUTOR, 10, 0.0) == []
    assert blocker.begun == ["r1"]


async def test_a_task_that_another_executor_took_is_cancelled(engine, serve, eventually, store) -> None:
    blocker = Blocker()
    serve(blocker)
    await engine.ask("r1")
    await eventually(lambda: blocker.begun == ["r1"], "the task runs")
    (taken,) = await store.reclaim_tasks(OTHER_EXECUTOR, 10, 0.0)
    await eventually(lambda: blocker.cancelled == ["r1"], "the task is cancelled")
    await store.finish_task(
        taken, Message(MessageKind.TASK_COMPLETED, "e1", {"run": "r1", "output": "other"})
    )
    assert (await engine.result("r1")).body["output"] == "other"


async def test_a_task_of_a_stopped_executor_is_reclaimed(engine, serve, store) -> None:
    await engine.ask("r1")
    async with asyncio.timeout(60):
        while not await store.receive_tasks(OTHER_EXECUTOR, 1, 1.0):
            pass
    serve(echo, lease_seconds=0.5)
    assert (await engine.result("r1")).kind is MessageKind.TASK_COMPLETED


async def test_a_long_task_keeps_its_lease(engine, serve, eventually, store) -> None:
    blocker = Blocker()
    serve(blocker)
    await engine.ask("r1")
    await eventually(lambda: blocker.begun == ["r1"], "the task runs")
    ends = asyncio.get_running_loop().time() + 12
    while asyncio.get_running_loop().time() < ends:
        assert await store.reclaim_tasks(OTHER_EXECUTOR, 10, 10.0) == []
        await asyncio.sleep(0.2)
    blocker.open.set()
    assert (await engine.result("r1")).body["output"] == "released"


async def test_stop_waits_for_running_tasks(engine, serve, eventually) -> None:
    blocker = Blocker()
    served = serve(blocker, stop_grace_seconds=30)
    await engine.ask("r1")
    await eventually(lambda: blocker.begun == ["r1"], "the task runs")
    served.service.stop()
    await engine.ask("r2")
    done, _ = await asyncio.wait({served.task}, timeout=0.5)
    assert not done
    blocker.open.set()
    await served.task
    assert (await engine.result("r1")).body["output"] == "released"
    assert blocker.begun == ["r1"]


@pytest.mark.parametrize("way", ["stop", "cancel"])
async def test_tasks_that_outlast_the_grace_period_are_released(
    engine, serve, eventually, store, way
) -> None:
    blocker = Blocker()
    served = serve(blocker)
    await engine.ask("r1", "r2")
    await eventually(lambda: len(blocker.begun) == 2, "the tasks run")
    if way == "stop":
        served.service.stop()
    else:
        served.task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await served.task
    assert sorted(blocker.cancelled) == ["r1", "r2"]
    attempts: dict[str, int] = {}
    async with asyncio.timeout(60):
        while len(attempts) < 2:
            for delivery in await store.receive_tasks(OTHER_EXECUTOR, 10, 1.0):
                attempts[delivery.body.run] = delivery.attempts
    assert attempts == {"r1": 1, "r2": 1}, "handing back counts as no attempt"


async def test_a_handler_that_raises_once_is_retried(engine, serve) -> None:
    calls = 0

    async def flaky(_: TaskRequest, context: TaskContext) -> Outcome:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise RuntimeError("not yet")
        return Completed(calls)

    serve(flaky)
    await engine.ask("r1")
    assert (await engine.result("r1")).body["output"] == 3


async def test_a_handler_that_keeps_raising_moves_its_task_to_the_dead_letter_queue(
    engine, serve, store
) -> None:
    async def broken(request: TaskRequest, _: TaskContext) -> Outcome:
        if request.run == "good":
            return Completed(None)
        raise RuntimeError("cannot")

    serve(broken)
    await engine.ask("bad", "good")
    await engine.result("good")
    async with asyncio.timeout(60):
        while not (letters := (await store.dead_letters("default")).items):
            await asyncio.sleep(0.05)
    (letter,) = letters
    assert letter.body.run == "bad"
    assert letter.error == "RuntimeError: cannot"
    assert "in broken" in letter.traceback


async def test_an_error_that_is_not_json_still_finishes_the_task(engine, serve) -> None:
    async def answer(_: TaskRequest, context: TaskContext) -> Outcome:
        return Faulted(runtime("\udc80"))

    serve(answer)
    await engine.ask("r1")
    assert (await engine.result("r1")).body["error"]["type"].endswith("/runtime")


@pytest.mark.parametrize("hours", [-2, 2])
async def test_deadlines_use_the_clock_of_the_store(engine, store, hours) -> None:
    class Wrong:
        def now(self) -> int:
            return SystemClock().now() + hours * 3_600_000

    service = ExecutorService(store, {"test": echo}, ExecutorSettings(), "x1", Wrong())
    running = asyncio.create_task(service.run())
    await engine.ask("r1", deadline=SystemClock().now() + 60_000)
    await engine.result("r1")
    service.stop()
    await running


async def test_a_task_after_its_deadline_is_not_run(engine, serve, soon) -> None:
    blocker = Blocker()
    blocker.open.set()
    serve(blocker)
    await engine.ask("r1", deadline=soon(-1))
    await engine.wait_for_earlier_tasks()
    assert blocker.begun == ["after"]
    assert engine.results.keys() == {"after"}


async def test_a_task_is_cancelled_at_its_deadline_without_a_result(engine, serve, soon, eventually) -> None:
    """N3: the timer of the timeout tells the execution; it may be that of something around the task."""
    blocker, asked = Blocker(), 0
    serve(blocker)
    while not blocker.begun:  # on a busy machine a task may arrive after its deadline
        asked, deadline = asked + 1, soon(3)
        await engine.ask(f"r{asked}", deadline=deadline)
        await eventually(lambda: blocker.begun or soon(0) > deadline, "the task has arrived")  # noqa: B023
    await eventually(lambda: blocker.cancelled == blocker.begun, "the handler is told to stop")
    blocker.open.set()
    await engine.wait_for_earlier_tasks()
    assert engine.results.keys() == {"after"}


@pytest.mark.parametrize(
    ("output", "words"), [("x" * 2000, "2002 bytes"), ({1, 2}, "not JSON"), (2**70, "JSON")]
)
async def test_a_result_that_cannot_be_stored_is_an_error(engine, serve, output, words) -> None:
    async def answer(_: TaskRequest, context: TaskContext) -> Outcome:
        return Completed(output)

    serve(answer, max_result_bytes=2000)
    await engine.ask("r1")
    error = (await engine.result("r1")).body["error"]
    assert error["type"].endswith("/runtime")
    assert words in error["detail"]


async def test_two_executors_share_a_queue(engine, serve) -> None:
    blocker = Blocker()
    blocker.open.set()
    for name in ("x1", "x2"):
        serve(blocker, name=name)
    runs = [f"r{n}" for n in range(200)]
    await engine.ask(*runs)
    for run in runs:
        await engine.result(run)
    assert sorted(blocker.begun) == sorted(runs)


async def test_a_result_is_sent_when_the_store_is_available_again(own_redis, eventually) -> None:
    store = RedisStore(own_redis.url, RedisSettings())
    await store.open()
    engine, blocker = Engine(store), Blocker()
    service = ExecutorService(store, {"test": blocker}, ExecutorSettings(), "x1", SystemClock())
    task = asyncio.create_task(service.run())
    await engine.ask("r1")
    await eventually(lambda: blocker.begun == ["r1"], "the task runs")
    own_redis.kill()
    blocker.open.set()
    done, _ = await asyncio.wait({task}, timeout=0.5)
    assert not done
    own_redis.start()
    async with asyncio.timeout(60):
        while "r1" not in engine.results:
            with contextlib.suppress(StoreUnavailable):
                await engine.result("r1")
    assert engine.results["r1"].body["output"] == "released"
    service.stop()
    await task
    await store.close()


async def test_stopping_does_not_wait_for_an_unavailable_store(own_redis, eventually) -> None:
    store = RedisStore(own_redis.url, RedisSettings())
    await store.open()
    engine, blocker = Engine(store), Blocker()
    settings = ExecutorSettings(stop_grace_seconds=0.2)
    service = ExecutorService(store, {"test": blocker}, settings, "x1", SystemClock())
    task = asyncio.create_task(service.run())
    await engine.ask("r1")
    await eventually(lambda: blocker.begun == ["r1"], "the task runs")
    own_redis.kill()
    service.stop()
    async with asyncio.timeout(60):
        await task
    await store.close()


async def test_an_executor_sends_the_newest_progress_of_a_task(engine, serve, store):
    done = asyncio.Event()

    async def work(request, context):
        for row in range(100):
            context.report({"rows": row})
        await done.wait()
        return Completed(None)

    serve(work)
    await engine.ask("r1")
    kinds = {MessageKind.TASK_PROGRESSED: [], MessageKind.TASK_COMPLETED: []}
    async with asyncio.timeout(60):
        while not kinds[MessageKind.TASK_COMPLETED]:
            deliveries = await store.receive_messages(WORKER, 100, 0.2)
            await store.acknowledge(deliveries)
            for each in deliveries:
                if each.body.kind in kinds:
                    kinds[each.body.kind].append(each.body.body)
                    done.set()
    assert kinds[MessageKind.TASK_PROGRESSED] == [{"run": "r1", "progress": {"rows": 99}}]


async def test_a_task_that_waits_for_a_limit_leaves_its_slot_to_others(engine, serve, eventually) -> None:
    free, waiting = asyncio.Event(), []

    async def work(request: TaskRequest, context: TaskContext) -> Outcome:
        if request.arguments.get("limited"):
            with context.parked("the limit of api.example.com"):
                waiting.append(request.run)
                await free.wait()
        return Completed(request.run)

    serve(work, concurrency=1, parked_tasks=2)
    await engine.ask("a", "b", limited=True)
    await eventually(lambda: len(waiting) == 2, "two tasks wait without a slot")
    await engine.ask("c")
    assert (await engine.result("c")).body["output"] == "c"
    free.set()


async def test_a_task_that_waits_for_two_things_in_turn_gets_no_slot_back(engine, serve, eventually) -> None:
    free, waiting = asyncio.Event(), []

    async def work(request: TaskRequest, context: TaskContext) -> Outcome:
        if request.run == "a":
            with context.parked("messages of a broker"):
                with context.parked("the limit of the broker"):
                    pass
                waiting.append(request.run)
                await free.wait()
        return Completed(request.run)

    serve(work, concurrency=1)
    await engine.ask("a")
    await eventually(lambda: waiting == ["a"], "it waits again for messages")
    await engine.ask("b")
    assert (await engine.result("b")).body["output"] == "b"
    free.set()


class Limited:
    """A handler whose calls go to one host, two at once, until `open` is set."""

    def __init__(self) -> None:
        self.limits = Limits(ExecutorSettings(target_concurrency=2), None)
        self.received: list[str] = []
        self.begun: list[str] = []
        self.attempts: list[int] = []
        self.open = asyncio.Event()

    async def __call__(self, request: TaskRequest, context: TaskContext) -> Outcome:
        self.received.append(request.run)
        if request.run.startswith("twice"):
            async with self.limits.call("quick"):
                self.begun.append(request.run)
        async with self.limits.call("slow"):
            self.begun.append(request.run)
            self.attempts.append(context.attempt)
            await self.open.wait()
        return Completed(request.run)


async def test_calls_that_wait_go_to_an_executor_that_is_free(engine, serve, eventually) -> None:
    first, second = Limited(), Limited()
    serve(first, name="x1")
    runs = [f"r{n:02}" for n in range(30)]
    await engine.ask(*runs)
    await eventually(lambda: len(first.received) == 30, "one executor has all calls")
    serve(second, name="x2")
    await eventually(lambda: len(second.received) > 8, "the other one gets many of those that wait")
    assert (len(first.begun), len(second.begun)) == (2, 2)
    first.open.set()
    second.open.set()
    for run in runs:
        assert (await engine.result(run)).body["output"] == run
    assert sorted(first.begun + second.begun) == runs, "each call is made once"
    assert {*first.attempts, *second.attempts} == {1}, "giving back counts as no attempt"


async def test_a_task_that_has_made_a_call_stays_with_its_executor(engine, serve, eventually) -> None:
    first, second = Limited(), Limited()
    serve(first, name="x1", concurrency=4)
    twice = [f"twice {n}" for n in range(4)]
    await engine.ask(*twice)
    await eventually(lambda: len(first.begun) == 6, "all have made a call, and two the second one")
    await engine.ask("a", "b", "c")
    await eventually(lambda: len(first.received) == 7, "one executor has all calls")
    serve(second, name="x2", concurrency=4)
    await eventually(lambda: len(second.begun) == 2, "the other one gets calls")
    first.open.set()
    second.open.set()
    for run in (*twice, "a", "b", "c"):
        await engine.result(run)
    assert first.received[:4] == twice
    assert {*second.received} <= {"a", "b", "c"}
