"""The worker on real stores: its commits, faults that it survives, messages that it gives up."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import redis
from rpds import HashTrieMap
from tests.background import repeating, served

from unspool.definitions.compile import compile_plan
from unspool.definitions.document import load
from unspool.definitions.expressions import JqPool
from unspool.eventstore.clock import SystemClock
from unspool.eventstore.consumers import Consumer
from unspool.eventstore.dead_letters import DeadLetter
from unspool.eventstore.events import Event, encode_entry
from unspool.eventstore.opening import open_store
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import (
    Commit,
    Definition,
    Delivery,
    ExecutionKey,
    ExecutionRecord,
    Message,
    MessageKind,
    Snapshot,
    Start,
    Status,
    WorkflowRef,
)
from unspool.eventstore.results import Outcome
from unspool.worker import batch_processor
from unspool.worker.interpreter import MAX_EVENTS, State, decide, fold
from unspool.worker.interpreter.decision_builder import MAX_DECISION_SIZE
from unspool.worker.replay import verify
from unspool.worker.service import WorkerService
from unspool.worker.settings import WorkerSettings

TENANT = "default"
REF = WorkflowRef("test", "w", "1.0.0")
HEAD = "document: {dsl: '1.0.3', namespace: test, name: w, version: '1.0.0'}\n"
CALL = "{call: http, with: {method: post, endpoint: http://h, body: '${ . }'}}"


@contextlib.asynccontextmanager
async def working(
    store: EventStore, jq: JqPool, name: str = "w1", **settings: Any
) -> AsyncIterator[WorkerService]:
    service = WorkerService(store, jq, WorkerSettings(**settings), name)
    async with served(service):
        yield service


@contextlib.asynccontextmanager
async def executing(
    store: EventStore, answer: Callable[[Any], Any] = lambda body: body
) -> AsyncIterator[None]:
    """An executor that answers each `call: http` with what `answer` makes of its body."""
    consumer = Consumer("executors", "e1", frozenset({"http"}))

    async def work() -> None:
        while True:
            for delivery in await store.receive_tasks(consumer, 50, 1.0):
                body = {"run": delivery.body.run, "output": answer(delivery.body.arguments["body"])}
                message = Message(MessageKind.TASK_COMPLETED, delivery.body.execution, body)
                await store.finish_task(delivery, message)

    async with repeating(work()):
        yield


async def deploy(store: EventStore, tasks: str, ref: WorkflowRef = REF) -> str:
    text = HEAD.replace("name: w", f"name: {ref.name}") + tasks
    await store.put_definition(TENANT, Definition(ref, text, 0))
    return text


async def start(store: EventStore, id_: str, value: Any = None, ref: WorkflowRef = REF) -> ExecutionKey:
    key = ExecutionKey(TENANT, id_)
    await store.start(Start(key, ref, value, time.time_ns() // 1_000_000))
    return key


async def ended(store: EventStore, key: ExecutionKey, seconds: float = 120) -> ExecutionRecord:
    """Waits for the end of an execution. If another one starts it, that start may still be on its way."""
    async with asyncio.timeout(seconds):
        while True:
            record = await store.execution(key)
            if record is not None and record.status.ended:
                return record
            await store.wait_for_version(key, record.version if record else 0, 1 if record else 0.01)


async def output(store: EventStore, key: ExecutionKey) -> Any:
    record = await ended(store, key)
    event = await store.last_event(key)
    assert record.status is Status.COMPLETED, event
    assert event is not None
    return event.data["output"]


async def test_executions_run_to_their_end(store, jq):
    await deploy(store, f"do: [{{a: {CALL}}}, {{b: {{set: {{got: '${{ . }}'}}}}}}]")
    async with working(store, jq), executing(store):
        keys = [await start(store, f"e{number}", number) for number in range(20)]
        assert [await output(store, key) for key in keys] == [{"got": number} for number in range(20)]


async def test_a_batch_for_which_there_is_no_time_is_continued(store, jq, monkeypatch):
    monkeypatch.setattr(batch_processor, "_MAX_BATCH_SECONDS", 0.0)  # one execution at a time
    await deploy(store, f"do: [{{a: {CALL}}}, {{b: {CALL}}}]")
    keys = [await start(store, f"e{number}", number) for number in range(40)]
    async with working(store, jq), executing(store):
        assert [await output(store, key) for key in keys] == list(range(40))


async def test_two_workers_share_and_never_write_twice(store, jq):
    text = await deploy(store, f"""
do:
  - f: {{fork: {{branches: [{{a: {CALL}}}, {{b: {CALL}}}, {{c: {CALL}}}]}}}}
  - g: {{for: {{in: '[1, 2, 3]'}}, do: [{{h: {CALL}}}]}}
""")  # fmt: skip
    plan = compile_plan(load(text).value, jq)
    async with working(store, jq, "w1"), working(store, jq, "w2"), executing(store):
        keys = [await start(store, f"e{number}", number) for number in range(60)]
        for number, key in enumerate(keys):
            assert await output(store, key) == [number] * 3
            history = await store.history(key)
            assert [event.seq for event in history] == list(range(1, len(history) + 1))
            assert verify(plan, key.id, history) is None


async def test_events_after_a_decision_that_was_cut_verify(store, jq):
    text = await deploy(store, "do: [{l: {for: {in: '[range(2000)]'}, do: [{a: {set: {x: 1}}}]}}]")
    key = await start(store, "e")
    await store.send(TENANT, Message(MessageKind.CANCEL, key.id, {}))  # in one batch with the start
    async with working(store, jq):
        assert (await ended(store, key)).status is Status.CANCELLED
    history = await store.history(key)
    assert verify(compile_plan(load(text).value, jq), key.id, history) is None


async def test_a_worker_continues_the_executions_of_another(store, jq):
    tasks = "do: [{l: {for: {in: '[range(60)]'}, do: [{a: %s}]}}]" % CALL  # noqa: UP031 - braces
    await deploy(store, tasks)
    async with executing(store):
        async with working(store, jq, "w1", snapshot_every=20):
            key = await start(store, "e", 7)
            await store.wait_for_version(key, 100, 60)
        [loaded] = await store.load([key], 1)
        assert loaded is not None
        assert loaded.snapshot is not None
        assert loaded.snapshot.version >= 100
        async with working(store, jq, "w2"):
            assert await output(store, key) == 7


async def test_a_worker_does_not_build_on_events_that_a_crash_of_redis_took(redis_database, jq):
    store = await open_store(redis_database, {})
    text = await deploy(store, f"do: [{{f: {{fork: {{branches: [{{a: {CALL}}}, {{b: {CALL}}}]}}}}}}]")
    plan = compile_plan(load(text).value, jq)
    async with working(store, jq):
        key = await start(store, "e")
        await store.wait_for_version(key, 0, 60)
        history = await store.history(key)
        [a, b] = [event.run for event in history if event.type == "task.requested"]
        kept = keys_of(redis_database)
        await store.send(TENANT, completed(a, "lost"))
        await store.wait_for_version(key, len(history), 60)
        lost = len(await store.history(key))

        bring_back(redis_database, kept)
        state = fold(State(key.id), history)
        decision = decide(plan, state, completed(a, "kept"), history[-1].time)
        commit = Commit(key=key, commit_id="c", expected_version=len(history), events=decision.events)
        assert await store.commit(commit) is Outcome.COMMITTED
        assert decision.state.version == lost

        await store.send(TENANT, completed(b, "b"))
        assert await output(store, key) == ["kept", "b"]
        assert verify(plan, key.id, await store.history(key)) is None
    await store.close()


def completed(run: str, value: Any) -> Message:
    return Message(MessageKind.TASK_COMPLETED, "e", {"run": run, "output": value})


def keys_of(url: str) -> dict[bytes, bytes]:
    """Returns all data of a Redis."""
    with redis.Redis.from_url(url) as client:
        return {key: client.dump(key) for key in client.scan_iter()}


def bring_back(url: str, kept: dict[bytes, bytes]) -> None:
    """Puts a Redis back to an earlier state, as a crash that loses the end of its file does."""
    with redis.Redis.from_url(url) as client, client.pipeline(transaction=True) as pipeline:
        pipeline.flushdb()
        for key, value in kept.items():
            pipeline.restore(key, 0, value)
        pipeline.execute()


@pytest.mark.parametrize("dump", [b'{"format": 0}', b"{}", b"", b'{"format": 1, "runs": [7]}', b"[]"])
async def test_an_unreadable_snapshot_is_passed_over(store, jq, dump):
    await deploy(store, f"do: [{{a: {CALL}}}, {{b: {{wait: {{milliseconds: 1}}}}}}]")
    key = await start(store, "e", 7)
    async with working(store, jq, "w1"):
        await store.wait_for_version(key, 0, 60)
    await store.put_snapshot(key, Snapshot(2, dump))
    async with working(store, jq, "w2"), executing(store):
        await store.wait_for_version(key, 5, 60)
        while not (await store.fire_due_timers()).count:
            await asyncio.sleep(0.01)
        assert await output(store, key) == 7


async def test_states_beyond_the_cache_are_read_again(store, jq):
    await deploy(store, f"do: [{{a: {CALL}}}, {{b: {CALL}}}, {{c: {CALL}}}]")
    async with working(store, jq, cached_states=1), executing(store):
        keys = [await start(store, f"e{number}", number) for number in range(10)]
        assert [await output(store, key) for key in keys] == list(range(10))


async def test_a_message_that_always_fails_becomes_a_dead_letter_that_can_be_requeued(store, jq):
    # DESIGN §6
    missing = WorkflowRef("test", "missing", "1.0.0")
    await deploy(store, "do: [{a: {set: {a: 1}}}]")
    async with working(store, jq):
        lost = await start(store, "lost", ref=missing)
        healthy = await start(store, "healthy")
        assert await output(store, healthy) == {"a": 1}
        letter = await dead_letter_of(store, lost)
        assert "test/missing:1.0.0" in letter.error
        assert "Traceback" in letter.traceback
        assert isinstance(letter.body, Message)
        assert letter.body.kind is MessageKind.START
        await deploy(store, "do: [{a: {set: {a: 2}}}]", missing)
        assert await store.requeue(TENANT, letter.id)
        assert await output(store, lost) == {"a": 2}
        assert (await store.dead_letters(TENANT)).items == ()


async def test_one_bad_message_in_a_batch_becomes_a_dead_letter_alone(store, jq):
    await deploy(store, f"do: [{{a: {CALL}}}]")
    async with working(store, jq, "w1"):
        keys = [await start(store, f"e{n}", n) for n in range(60)]
        for key in keys:
            await store.wait_for_version(key, 0, 60)
    bad = Message(MessageKind.TASK_COMPLETED, keys[7].id, {"nothing": "of use"})
    await store.send(TENANT, bad)
    answered: list[int] = []

    async with executing(store, lambda n: answered.append(n) or n):
        async with asyncio.timeout(25):
            while len(answered) < len(keys):  # no worker runs, so they arrive in one batch
                await asyncio.sleep(0.01)
        async with working(store, jq, "w2"):
            assert [await output(store, key) for key in keys] == list(range(60))
            letter = await dead_letter_of(store, keys[7])

    assert letter.body == bad
    assert "KeyError" in letter.error
    assert len((await store.dead_letters(TENANT)).items) == 1


class PanickingClock(SystemClock):
    """A clock that panics, as a library in Rust does, where a worker decides; not in the service's loops."""

    panics = True

    def now(self) -> int:
        task = asyncio.current_task()
        if self.panics and task is not None and not task.get_name().startswith("worker: "):
            panic()
        return super().now()


def panic() -> None:
    class Incomparable:
        def __hash__(self) -> int:
            return 1

        def __eq__(self, other: object) -> bool:
            raise RecursionError

    HashTrieMap({Incomparable(): 1}).get(Incomparable())


async def test_a_message_that_makes_a_library_panic_becomes_a_dead_letter(store, jq):
    await deploy(store, "do: [{a: {set: {a: 1}}}]")
    clock = PanickingClock()
    clock.panics = False
    service = WorkerService(store, jq, WorkerSettings(), "w1", clock)
    async with served(service):
        await output(store, await start(store, "before"))
        clock.panics = True
        key = await start(store, "panics")
        letter = await dead_letter_of(store, key)
        assert "PanicException" in letter.error
        clock.panics = False
        assert await store.requeue(TENANT, letter.id)
        assert await output(store, key) == {"a": 1}


async def dead_letter_of(store: EventStore, key: ExecutionKey) -> DeadLetter:
    async with asyncio.timeout(60):
        while not (letters := (await store.dead_letters(TENANT, execution=key.id)).items):
            await asyncio.sleep(0.02)
    return letters[0]


@pytest.mark.parametrize(
    "tasks",
    [
        "do: [{a: {input: {schema: {document: {type: 7}}}, set: {a: 1}}}]",
        "do: [{a: {set: '${ nosuchfunction }'}}]",
    ],
)
async def test_what_cannot_be_compiled_faults_with_the_cause(store, jq, tasks):
    # B9, D10
    await deploy(store, tasks)
    async with working(store, jq):
        key = await start(store, "e", 1)
        assert (await ended(store, key)).status is Status.FAULTED
        event = await store.last_event(key)
        assert event is not None
        assert event.data["error"]["type"].endswith("/configuration")
        assert event.data["error"]["detail"]


async def test_messages_behind_slow_ones_stay_with_their_worker(store, jq):
    # Otherwise each delivery to another worker would count as an attempt, and they would become dead letters.
    await deploy(
        store,
        "do: [{a: {set: {n: '${ [limit(200000; repeat(1))] | try error catch length }'}}}]",
    )
    keys = [await start(store, f"e{number}") for number in range(12)]
    other = Consumer("workers", "other")
    with JqPool(size=1, seconds=5.0) as one:
        async with working(store, one, lease_seconds=0.4):
            waiting = asyncio.gather(*(ended(store, key, 240) for key in keys))
            loop = asyncio.get_running_loop()
            looked = ask_from = loop.time()
            while not waiting.done():
                if loop.time() - looked > 1:  # a pause of this process; then the worker has to renew first
                    ask_from = loop.time() + 1
                looked = loop.time()
                if looked >= ask_from:
                    assert await store.reclaim_messages(other, 10, 2.0) == []
                await asyncio.sleep(0.1)
            assert {record.status for record in await waiting} == {Status.COMPLETED}


async def test_messages_for_unknown_executions_are_dropped(store, jq):
    # fault-matrix F38
    await deploy(store, "do: [{a: {set: {a: 1}}}]")
    async with working(store, jq):
        await store.send(TENANT, Message(MessageKind.CANCEL, "unknown", {}))
        assert await output(store, await start(store, "e")) == {"a": 1}
        assert await store.execution(ExecutionKey(TENANT, "unknown")) is None
        assert (await store.dead_letters(TENANT)).items == ()


async def test_a_runaway_expression_faults_its_task_and_the_worker_goes_on(store, jq):
    # DESIGN §5
    await deploy(store, "do: [{a: {set: '${ def f: f; f }'}}]")
    calm = WorkflowRef("test", "calm", "1.0.0")
    await deploy(store, "do: [{a: {set: {a: 1}}}]", calm)
    async with working(store, jq):
        wild = [await start(store, f"wild{number}") for number in range(2)]
        assert await output(store, await start(store, "calm", ref=calm)) == {"a": 1}
        records = [await store.execution(key) for key in wild]
        assert [record for record in records if record is None or record.status.ended] == []
        for key in wild:
            assert (await ended(store, key)).status is Status.FAULTED
            event = await store.last_event(key)
            assert event is not None
            assert event.data["error"]["type"].endswith("/expression")


async def test_a_long_decision_is_many_commits(store, jq):
    await deploy(store, """
do:
  - count: {set: {n: '${ .n + 1 }'}}
  - again: {switch: [{more: {when: .n < 700, then: count}}]}
""")  # fmt: skip
    async with working(store, jq):
        assert await output(store, await start(store, "e", {"n": 0})) == {"n": 700}


async def test_a_cancellation_that_overtakes_the_start_still_counts(store, jq):
    await deploy(store, "do: [{w: {wait: PT1H}}]")
    key = await start(store, "e", {"kept": True})
    holder = Consumer("workers", "slow")
    (opening,) = await taken(store, holder)
    await store.send(TENANT, Message(MessageKind.CANCEL, key.id, {}))
    async with working(store, jq):
        assert (await ended(store, key)).status is Status.CANCELLED
        await store.release([opening])
        await settled(store)
    assert await store.receive_messages(Consumer("workers", "last"), 10, 0.5) == []
    first, *_, last = await store.history(key)
    assert (first.type, first.data["input"], last.type) == (
        "workflow.started",
        {"kept": True},
        "workflow.cancelled",
    )


async def settled(store: EventStore) -> None:
    """Waits until no message is left that a worker could still answer."""
    late = Consumer("workers", "late")
    async with asyncio.timeout(60):
        await store.deregister(Consumer("workers", "slow"))
        while left := await store.receive_messages(late, 10, 0.3):
            await store.release(left)


async def taken(store: EventStore, consumer: Consumer) -> list[Delivery[Message]]:
    async with asyncio.timeout(60):
        while not (deliveries := await store.receive_messages(consumer, 10, 1.0)):
            pass
    return deliveries


async def test_cancel_reaches_an_execution(store, jq):
    await deploy(store, "do: [{w: {wait: PT1H}}]")
    async with working(store, jq):
        key = await start(store, "e")
        await store.wait_for_version(key, 0, 60)
        assert (await store.execution(key)).status is Status.WAITING
        await store.send(TENANT, Message(MessageKind.CANCEL, key.id, {}))
        assert (await ended(store, key)).status is Status.CANCELLED
        assert (await store.fire_due_timers()).next_due_at is None


async def commits_of(store: EventStore, key: ExecutionKey) -> list[list[Event]]:
    """Returns the events of each commit."""
    commits: list[list[Event]] = []
    seen = 0
    while True:
        [loaded] = await store.load([key], len(commits) + 1)
        assert loaded is not None
        commits.append(loaded.events[seen:])
        seen = len(loaded.events)
        if loaded.events[-1].seq == loaded.record.version:
            return commits


async def waiting_results(
    store: EventStore, jq: JqPool, branch: str, branches: int, result: Any
) -> ExecutionKey:
    """Starts an execution that forks. The results of all branches wait for a worker."""
    tasks = ", ".join(f"{{b{number}: {branch}}}" for number in range(branches))
    await deploy(store, f"do: [{{f: {{fork: {{branches: [{tasks}]}}, output: {{as: '${{ length }}'}}}}}}]")
    key = await start(store, "wide", 1)
    consumer = Consumer("executors", "e1", frozenset({"http"}))
    requested: list[Delivery[Any]] = []
    async with working(store, jq, snapshot_every=1_000_000), asyncio.timeout(60):
        while len(requested) < branches:
            requested += await store.receive_tasks(consumer, branches, 1.0)
    for delivery in requested:
        body = {"run": delivery.body.run, "output": result}
        await store.finish_task(delivery, Message(MessageKind.TASK_COMPLETED, key.id, body))
    return key


async def test_many_results_for_one_execution_are_committed_in_bounded_pieces(
    store: EventStore, jq: JqPool
) -> None:
    branches = 200
    key = await waiting_results(store, jq, CALL, branches, 1)
    async with working(store, jq, "w2", batch=8, concurrency=100, snapshot_every=1_000_000):
        record = await ended(store, key)
    assert record.status is Status.COMPLETED
    counts = [sum(e.type == "task.completed" for e in events) for events in await commits_of(store, key)]
    assert sum(counts) == branches + 1
    assert max(counts) <= 8 + 1  # the last piece completes the fork, too


@pytest.mark.parametrize(
    ("branch", "result"),
    [
        ("{do: [{c: %s}, {l: {for: {in: '[range(6)]'}, do: [{s: {set: {x: 1}}}]}}]}" % CALL, 1),  # noqa: UP031 - braces
        (CALL, "x" * 50_000),
    ],
    ids=["events", "bytes"],
)
async def test_a_commit_of_many_decisions_is_bounded(
    store: EventStore, jq: JqPool, branch: str, result: Any
) -> None:
    key = await waiting_results(store, jq, branch, 100, result)
    async with working(store, jq, "w2", batch=1000, snapshot_every=1_000_000):
        record = await ended(store, key)
    assert record.status is Status.COMPLETED
    history = await store.history(key)
    assert len(history) > 2000 or len(encode_entry(tuple(history))) > 5_000_000
    for events in map(tuple, await commits_of(store, key)):
        assert len(events) < 2 * MAX_EVENTS
        assert len(encode_entry(events)) < 1.5 * MAX_DECISION_SIZE
    definition = await store.definition(TENANT, *REF)
    assert definition is not None
    assert verify(compile_plan(load(definition.text).value, jq), key.id, history) is None
