"""Idempotency keys: each has one execution, from any start, and all that wait for it get its result."""

import asyncio
import random
import time
from typing import Any

import pytest
from tests.worker.test_service import (
    TENANT,
    deploy,
    ended,
    executing,
    output,
    start,
    working,
)

from unspool.definitions.compile import compile_plan
from unspool.definitions.document import load
from unspool.eventstore.consumers import Consumer
from unspool.eventstore.events import Event
from unspool.eventstore.ids import new_id
from unspool.eventstore.listing import ExecutionFilter
from unspool.eventstore.records import (
    Definition,
    ExecutionKey,
    Message,
    MessageKind,
    SendMessage,
    Start,
    Status,
    WorkflowRef,
)
from unspool.worker.idempotency_keys import IdempotencyKeys, NoKey
from unspool.worker.interpreter.circles import MAX_WAITS
from unspool.worker.interpreter.joining import MAX_WAITING
from unspool.worker.interpreter.snapshot import dump_state, load_state
from unspool.worker.interpreter.state import Waiting
from unspool.worker.replay import verify

CHILD = WorkflowRef("test", "child", "1.0.0")
RUN = "run: {workflow: {namespace: test, name: child}}"
KEYED = (
    "document: {dsl: '1.0.3', namespace: test, name: %s, version: '1.0.0',"
    " metadata: {unspool: {idempotencyKey: '%s', reuse: %s}}}\n"
)
WAIT = "do: [{a: {wait: PT1H}}]"
CALL = "{call: http, with: {method: post, endpoint: http://h, body: '${ . }'}}"


async def deploy_keyed(store, tasks: str, ref=CHILD, key: str = "${ .k }", reuse: str = "never") -> str:
    text = KEYED % (ref.name, key, reuse) + tasks
    await store.put_definition(TENANT, Definition(ref, text, 0))
    return text


async def start_keyed(store, keys: IdempotencyKeys, input_: Any, ref=CHILD) -> tuple[str, bool]:
    now = time.time_ns() // 1_000_000
    found = await keys.resolve(Start(ExecutionKey(TENANT, new_id(now)), ref, input_, now))
    return found.key.id, await store.start(found)


async def of_workflow(store, name: str = "child") -> list[str]:
    page = await store.executions(TENANT, ExecutionFilter(workflow=("test", name)), limit=200)
    return [record.key.id for record in page.items]


async def started_children(store, count: int) -> list[str]:
    """Waits until there are so many: the store may make the starts of a commit a little later."""
    async with asyncio.timeout(60):
        while len(found := await of_workflow(store)) < count:
            await asyncio.sleep(0.01)
    return found


async def until(store, key: ExecutionKey, type_: str) -> Event:
    """Waits for an event."""
    async with asyncio.timeout(60):
        while True:
            history = await store.history(key)
            for event in history:
                if event.type == type_:
                    return event
            await store.wait_for_version(key, len(history), 1)


def key_of(id_: str) -> ExecutionKey:
    return ExecutionKey(TENANT, id_)


# -- starts


async def test_many_starts_of_one_key_make_one_execution(store, jq):
    await deploy_keyed(store, WAIT)
    processes = [IdempotencyKeys(store, jq) for _ in range(3)]

    starts = [start_keyed(store, processes[n % 3], {"k": n % 2, "n": n}) for n in range(60)]
    answers = await asyncio.gather(*starts)

    assert sum(created for _, created in answers) == 2
    assert {id_ for id_, _ in answers[::2]} | {id_ for id_, _ in answers[1::2]} == {*await of_workflow(store)}
    assert len({*answers[::2]} | {*answers[1::2]}) <= 4


async def test_a_claim_whose_process_ended_is_taken_by_the_next_start(store, jq):
    await deploy_keyed(store, WAIT)
    keys = IdempotencyKeys(store, jq)
    claimed = await keys.resolve(Start(key_of("claimed"), CHILD, {"k": "x"}, 1))
    assert (claimed.key.id, claimed.idempotency_key) == ("claimed", "x")

    assert await start_keyed(store, keys, {"k": "x"}) == ("claimed", True)
    assert await start_keyed(store, keys, {"k": "x"}) == ("claimed", False)


async def test_all_versions_share_a_key_and_other_workflows_do_not(store, jq):
    second, other = CHILD._replace(version="2.0.0"), CHILD._replace(name="other")
    for ref in (CHILD, second, other):
        await deploy_keyed(store, WAIT, ref)
    keys = IdempotencyKeys(store, jq)

    first, _ = await start_keyed(store, keys, {"k": 1})
    assert await start_keyed(store, keys, {"k": "1"}, second) == (first, False)
    assert (await start_keyed(store, keys, {"k": 1}, other))[1]


@pytest.mark.parametrize(("reuse", "free"), [("never", False), ("ended", True)])
async def test_a_key_is_free_once_its_execution_has_ended_if_the_definition_says_so(
    store,
    jq,
    reuse,
    free,
):
    await deploy_keyed(store, "do: [{a: {set: {x: 1}}}]", reuse=reuse)
    keys = IdempotencyKeys(store, jq)
    first, _ = await start_keyed(store, keys, {"k": 1})
    assert await start_keyed(store, keys, {"k": 1}) == (first, False)
    async with working(store, jq):
        await ended(store, key_of(first))

        answers = await asyncio.gather(*(start_keyed(store, keys, {"k": 1}) for _ in range(5)))
        assert any(created for _, created in answers) is free
        assert all((id_ != first) is free for id_, _ in answers)


async def test_the_key_is_in_the_history(store, jq):
    text = await deploy_keyed(store, WAIT, key="sync:${ .k }")
    id_, _ = await start_keyed(store, IdempotencyKeys(store, jq), {"k": 1})
    async with working(store, jq):
        await store.send(TENANT, Message(MessageKind.CANCEL, id_, {}))
        await ended(store, key_of(id_))
    history = await store.history(key_of(id_))
    assert history[0].data["idempotencyKey"] == "sync:1"
    assert verify(compile_plan(load(text).value, jq), id_, history) is None


async def test_an_input_without_a_key(store, jq):
    await deploy_keyed(store, WAIT)
    with pytest.raises(NoKey, match=r"test/child:1\.0\.0 .* it is null"):
        await start_keyed(store, IdempotencyKeys(store, jq), {})


# -- retries


async def faulted(store, jq, keys) -> str:
    await deploy_keyed(
        store, "do: [{a: {raise: {error: {type: https://e, status: 500}}}}]", CHILD, reuse="ended"
    )
    id_, _ = await start_keyed(store, keys, {"k": 1})
    async with working(store, jq):
        assert (await ended(store, key_of(id_))).status is Status.FAULTED
    return id_


async def test_a_retry_keeps_the_key(store, jq):
    keys = IdempotencyKeys(store, jq)
    id_ = await faulted(store, jq, keys)
    before = await store.execution(key_of(id_))

    async with working(store, jq):
        await store.send(TENANT, Message(MessageKind.RETRY, id_, {}))
        await store.wait_for_version(key_of(id_), before.version, 60)
        await ended(store, key_of(id_))
    assert "workflow.retried" in [event.type for event in await store.history(key_of(id_))]
    assert (await start_keyed(store, keys, {"k": 1}))[1]  # it has ended again


async def test_without_the_key_there_is_no_retry(store, jq):
    keys = IdempotencyKeys(store, jq)
    id_ = await faulted(store, jq, keys)
    second, created = await start_keyed(store, keys, {"k": 1})
    assert created

    await store.send(TENANT, Message(MessageKind.RETRY, id_, {}))
    async with working(store, jq):
        await ended(store, key_of(second))
        await store.send(TENANT, Message(MessageKind.RETRY, second, {}))
        await until(store, key_of(second), "workflow.retried")
    assert (await store.execution(key_of(id_))).status is Status.FAULTED
    assert "workflow.retried" not in [event.type for event in await store.history(key_of(id_))]


async def test_a_retry_and_a_start_at_once_leave_one_under_way(store, jq):
    keys = IdempotencyKeys(store, jq)
    await deploy_keyed(store, f"do: [{{a: {CALL}}}]", reuse="ended")
    for n in range(5):
        id_, _ = await start_keyed(store, keys, {"k": n})
        async with working(store, jq):
            await until(store, key_of(id_), "task.requested")
            # Also the tasks of the executions before, if they were retried.
            tasks = await store.receive_tasks(consumer := _executor(n), 50, 10)
            [task] = [task for task in tasks if task.body.execution == id_]
            error = {"run": task.body.run, "error": {"type": "https://e", "status": 500}}
            await store.finish_task(task, Message(MessageKind.TASK_FAULTED, id_, error))
            await store.deregister(consumer)
            await ended(store, key_of(id_))
            retry = store.send(TENANT, Message(MessageKind.RETRY, id_, {}))
            (second, _), _ = await asyncio.gather(start_keyed(store, keys, {"k": n}), retry)
            await until(store, key_of(second), "workflow.retried" if second == id_ else "workflow.started")
        under_way = [each for each in {id_, second} if not (await store.execution(key_of(each))).status.ended]
        assert under_way == [second]


def _executor(n: int) -> Consumer:
    return Consumer("executors", f"x{n}", frozenset({"http"}))


# -- parents


async def test_all_parents_get_the_output_of_the_one_child(store, jq):
    await deploy(store, f"do: [{{b: {{{RUN}, output: {{as: .got}}}}}}]")
    await deploy_keyed(store, f"do: [{{a: {CALL}}}, {{b: {{set: {{got: '${{ .k }}'}}}}}}]")
    async with working(store, jq, "w1"), working(store, jq, "w2"):
        parents = [await start(store, f"p{n}", {"k": "x", "n": n}) for n in range(20)]
        for parent in parents:
            await until(store, parent, "child.started")
        async with executing(store):
            assert [await output(store, parent) for parent in parents] == ["x"] * 20
            late = await start(store, "late", {"k": "x"})
            assert await output(store, late) == "x"
    [child] = await of_workflow(store)
    joined = [event.data["execution"] for event in await store.history(late) if event.type == "child.joined"]
    assert joined == [child]


async def test_histories_of_parents_and_child_replay(store, jq):
    parent_text = await deploy(store, f"do: [{{b: {{{RUN}}}}}]")
    child_text = await deploy_keyed(store, f"do: [{{a: {CALL}}}]")
    async with working(store, jq):
        first, second = await start(store, "p1", {"k": 1}), await start(store, "p2", {"k": 1})
        await until(store, first, "child.started")
        await until(store, second, "child.started")
        [child] = await started_children(store, 1)
        joined = await until(store, key_of(child), "workflow.joined")
        async with executing(store):
            assert await output(store, first) == await output(store, second)
    assert joined.data["execution"] in {"p1", "p2"}
    parent_plan = compile_plan(load(parent_text).value, jq)
    for parent in (first, second):
        assert verify(parent_plan, parent.id, await store.history(parent)) is None
    assert verify(compile_plan(load(child_text).value, jq), child, await store.history(key_of(child))) is None


async def test_the_error_of_a_joined_child_names_it(store, jq):
    await deploy(store, f"do: [{{b: {{{RUN}}}}}]")
    await deploy_keyed(store, "do: [{a: {raise: {error: {type: https://e, status: 409, detail: 'no'}}}}]")
    id_, _ = await start_keyed(store, IdempotencyKeys(store, jq), {"k": 1})
    async with working(store, jq):
        parent = await start(store, "parent", {"k": 1})
        await ended(store, parent)
    error = (await store.last_event(parent)).data["error"]
    assert (error["status"], error["instance"]) == (409, "/do/0/b")
    assert error["detail"] == f"no (sub-workflow test/child, execution {id_})"


async def test_only_the_parent_that_started_a_child_cancels_it(store, jq):
    await deploy(store, f"do: [{{b: {{{RUN}}}}}]")
    await deploy_keyed(store, WAIT)
    async with working(store, jq):
        first = await start(store, "first", {"k": 1})
        await until(store, first, "child.started")
        second = await start(store, "second", {"k": 1})
        child = key_of((await until(store, second, "child.joined")).data["execution"])

        await store.send(TENANT, Message(MessageKind.CANCEL, "second", {}))
        assert (await ended(store, second)).status is Status.CANCELLED
        third = await start(store, "third", {"k": 1})
        await until(store, third, "child.joined")
        assert not (await store.execution(child)).status.ended

        await store.send(TENANT, Message(MessageKind.CANCEL, "first", {}))
        assert (await ended(store, child)).status is Status.CANCELLED
        assert (await ended(store, third)).status is Status.FAULTED
    assert "was cancelled" in (await store.last_event(third)).data["error"]["detail"]


async def test_a_child_that_is_not_awaited_is_started_once(store, jq):
    task = RUN.replace("run: {", "run: {await: false, ")
    await deploy(store, f"do: [{{a: {{{task}}}}}, {{b: {{{task}}}}}]")
    await deploy_keyed(store, WAIT)
    async with working(store, jq):
        for n in range(3):
            await output(store, await start(store, f"p{n}", {"k": 1}))
        [child] = await started_children(store, 1)
        await store.send(TENANT, Message(MessageKind.CANCEL, child, {}))
        await ended(store, key_of(child))
    assert "workflow.joined" not in [event.type for event in await store.history(key_of(child))]


async def test_input_without_a_key_faults_the_task(store, jq):
    await deploy(store, f"do: [{{b: {{{RUN}}}}}]")
    await deploy_keyed(store, WAIT)
    async with working(store, jq):
        parent = await start(store, "parent", {})
        await ended(store, parent)
    error = (await store.last_event(parent)).data["error"]
    assert error["type"].endswith("/expression")
    assert "the key must be a text or a number, but it is null" in error["detail"]


async def test_input_without_a_key_faults_a_task_that_does_not_wait(store, jq):
    task = RUN.replace("run: {", "run: {await: false, ")
    text = await deploy(store, f"do: [{{a: {{set: {{other: 1}}}}}}, {{b: {{{task}}}}}]")
    await deploy_keyed(store, WAIT)
    async with working(store, jq):
        parent = await start(store, "parent", {})
        assert (await ended(store, parent)).status is Status.FAULTED
    error = (await store.last_event(parent)).data["error"]
    assert (error["title"], error["instance"]) == ("No idempotency key", "/do/1/b")
    assert "the key must be a text or a number, but it is null" in error["detail"]
    assert await of_workflow(store) == []
    assert verify(compile_plan(load(text).value, jq), parent.id, await store.history(parent)) is None


async def test_an_input_with_the_time_has_no_key(store, jq):
    """Each decision on the same messages has the same time, and so the same inputs."""
    task = RUN.replace("run: {", "run: {await: false, ").replace("child}", "child, input: {at: '${ now }'}}")
    caught = f"t: {{try: [{{b: {{{task}}}}}], catch: {{}}}}"
    text = await deploy(store, f"do: [{{each: {{for: {{in: '[range(40)]'}}, do: [{{{caught}}}]}}}}]")
    await deploy_keyed(store, WAIT)
    async with working(store, jq):
        parent = await start(store, "parent", {})
        assert (await ended(store, parent)).status is Status.COMPLETED
    assert verify(compile_plan(load(text).value, jq), parent.id, await store.history(parent)) is None


FIVE_NOT_AWAITED = """
do:
  - each:
      for: {in: '["x", null, "y", null, "z"]'}
      metadata: %s
      do:
        - t:
            try:
              - b: {run: {await: false, workflow: {namespace: test, name: child, input: {k: '${ $item }'}}}}
            catch: {as: e, do: [{s: {set: {caught: '${ $e.title }'}}}]}
"""


@pytest.mark.parametrize("metadata", ["{}", "{unspool: {concurrency: 3}}"])
async def test_only_the_tasks_whose_input_has_no_key_fault(store, jq, metadata):
    """One decision starts all the sub-workflows."""
    text = await deploy(store, FIVE_NOT_AWAITED % metadata)
    await deploy_keyed(store, WAIT)
    async with working(store, jq):
        parent = await start(store, "parent", {})
        assert (await ended(store, parent)).status is Status.COMPLETED
        keys = [(await until(store, key_of(id_), "workflow.started")).data["idempotencyKey"]
                for id_ in await started_children(store, 3)]  # fmt: skip
    assert sorted(keys) == ["x", "y", "z"]
    history = await store.history(parent)
    caught = [event.data["output"]["caught"] for event in history
              if (event.type, (event.task or "")[-2:]) == ("task.completed", "/s")]  # fmt: skip
    assert caught == ["No idempotency key"] * 2
    assert verify(compile_plan(load(text).value, jq), parent.id, history) is None


@pytest.mark.parametrize("depth", [0, 2])
async def test_a_workflow_that_would_wait_for_itself_faults(store, jq, depth):
    chain = [CHILD, *(CHILD._replace(name=f"below{n}") for n in range(depth))]
    for ref, below in zip(chain, [*chain[1:], CHILD], strict=True):
        await deploy_keyed(store, f"do: [{{b: {{{RUN.replace('child', below.name)}}}}}]", ref)
    id_, _ = await start_keyed(store, IdempotencyKeys(store, jq), {"k": 1})
    async with working(store, jq):
        await ended(store, key_of(id_))
    error = (await store.last_event(key_of(id_))).data["error"]
    assert error["type"].endswith("/configuration")
    assert f"execution {id_} has the idempotency key" in error["detail"]


@pytest.mark.parametrize("count", [2, 3, 6])
async def test_executions_that_would_wait_for_each_other_fault(store, jq, count):
    """All run already, and each has the key of the sub-workflow of the one before."""
    refs = [CHILD._replace(name=f"part{n}") for n in range(count)]
    for ref, other in zip(refs, [*refs[1:], refs[0]], strict=True):
        await deploy_keyed(store, f"do: [{{b: {{{RUN.replace('child', other.name)}}}}}]", ref)
    keys = IdempotencyKeys(store, jq)
    found = [(await start_keyed(store, keys, {"k": 1}, ref))[0] for ref in refs]
    async with working(store, jq, "w1"), working(store, jq, "w2"):
        for id_ in found:
            assert (await ended(store, key_of(id_))).status is Status.FAULTED
    details = [(await store.last_event(key_of(id_))).data["error"]["detail"] for id_ in found]
    newest = max(found)
    after = found[(found.index(newest) + 1) % count]
    assert all(
        f"execution {after} has the idempotency key of the sub-workflow, and waits for execution {newest}"
        in each
        for each in details
    )
    assert [len(await joined_by(store, id_)) for id_ in found] == [1] * count


async def joined_by(store, id_: str) -> list[str]:
    """The executions that joined an execution."""
    return [
        event.data["execution"]
        for event in await store.history(key_of(id_))
        if event.type == "workflow.joined"
    ]


async def test_a_circle_through_a_parent_is_broken_at_a_join(store, jq):
    """`one` starts its child, which joins `two`; `two` joins `one`."""
    one, two = CHILD._replace(name="one"), CHILD._replace(name="two")
    caught = "do: [{t: {try: [{b: {%s}}], catch: {errors: {with: {status: 400}}}}}]"
    await deploy(store, f"do: [{{b: {{{RUN.replace('child', 'two')}}}}}]", CHILD)
    await deploy_keyed(store, f"do: [{{b: {{{RUN}}}}}]", one)
    await deploy_keyed(store, caught % RUN.replace("child", "one"), two)
    keys = IdempotencyKeys(store, jq)
    first, _ = await start_keyed(store, keys, {"k": 1}, one)
    second, _ = await start_keyed(store, keys, {"k": 1}, two)
    async with working(store, jq):
        statuses = [(await ended(store, key_of(id_))).status for id_ in (first, second)]
    [child] = await of_workflow(store)
    newest = max(child, second)  # those that joined
    assert (await store.execution(key_of(child))).status is (
        Status.FAULTED if newest == child else Status.COMPLETED
    )
    expected = Status.COMPLETED if newest == second else Status.FAULTED
    assert statuses == [expected, Status.COMPLETED]


@pytest.mark.parametrize("circles", [False, True])
async def test_executions_that_join_each_other_at_random_end(store, jq, circles):
    """Each waits for up to two others. Those that cannot form a circle complete."""
    chance, keys, found = random.Random(7), IdempotencyKeys(store, jq), []
    for graph in range(5):
        refs = [CHILD._replace(name=f"g{graph}n{n}") for n in range(6)]
        for n, ref in enumerate(refs):
            others = refs if circles else refs[n + 1 :]
            joined = chance.sample(others, min(len(others), chance.randrange(3)))
            branches = [f"{{b{m}: {{{RUN.replace('child', other.name)}}}}}" for m, other in enumerate(joined)]
            fork = f"{{f: {{fork: {{branches: [{', '.join(branches)}]}}}}}}"
            await deploy_keyed(store, f"do: [{fork}, {{e: {{set: {{k: 1}}}}}}]", ref, key="${ 1 }")
        found += [await start_keyed(store, keys, {"k": 1}, ref) for ref in refs]
    async with working(store, jq, "w1"), working(store, jq, "w2"):
        statuses = {(await ended(store, key_of(id_))).status for id_, _ in found}
    assert statuses == ({Status.COMPLETED, Status.FAULTED} if circles else {Status.COMPLETED})


async def test_a_wait_that_was_given_up_closes_no_circle(store, jq):
    """`two` has joined `one`, and does not wait for it any more when `one` joins `two`."""
    one, two = CHILD._replace(name="one"), CHILD._replace(name="two")
    await deploy_keyed(store, f"do: [{{a: {CALL}}}, {{b: {{{RUN.replace('child', 'two')}}}}}]", one)
    race = f"fork: {{compete: true, branches: [{{b: {{{RUN.replace('child', 'one')}}}}}, {{c: {CALL}}}]}}"
    await deploy_keyed(store, f"do: [{{a: {{{race}}}}}, {{d: {CALL}}}]", two)
    keys = IdempotencyKeys(store, jq)
    first, _ = await start_keyed(store, keys, {"k": 1}, one)
    async with working(store, jq):
        await until(store, key_of(first), "task.requested")
        second, _ = await start_keyed(store, keys, {"k": 1}, two)
        await until(store, key_of(first), "workflow.joined")
        requested = [await until(store, key_of(id_), "task.requested") for id_ in (first, second)]
        tasks = {task.body.execution: task for task in await store.receive_tasks(_executor(1), 10, 10)}
        assert len(tasks) == len(requested)
        await complete(store, tasks[second])
        await until(store, key_of(second), "task.cancelled")
        await complete(store, tasks[first])
        await until(store, key_of(second), "workflow.joined")
        [last] = await store.receive_tasks(_executor(1), 10, 10)
        await complete(store, last)
        for id_ in (first, second):
            assert (await ended(store, key_of(id_))).status is Status.COMPLETED


async def complete(store, task) -> None:
    result = {"run": task.body.run, "output": {"k": 1}}
    await store.finish_task(task, Message(MessageKind.TASK_COMPLETED, task.body.execution, result))


async def test_a_child_that_is_claimed_by_its_parent_and_started_by_another(store, jq):
    """The parent gets the result, although the record of the child does not name it."""
    await deploy(store, f"do: [{{b: {{{RUN}}}}}]")
    await deploy_keyed(store, "do: [{a: {set: {x: 1}}}]")
    keys = IdempotencyKeys(store, jq)
    async with working(store, jq):
        parents = [start(store, f"p{n}", {"k": n}) for n in range(20)]
        others = [start_keyed(store, keys, {"k": n}) for n in range(20)]
        started = await asyncio.gather(*parents, *others)
        assert [await output(store, parent) for parent in started[:20]] == [{"x": 1}] * 20
    assert len(await of_workflow(store)) == 20


async def test_keys_in_real_jq(store, jq):
    await deploy(store, f"do: [{{b: {{{RUN}}}}}]")
    await deploy_keyed(store, "do: [{a: {set: {x: 1}}}]", key="${ def f: [.k] | implode; f }")
    async with working(store, jq):
        parents = [await start(store, f"p{n}", {"k": 65 + n % 2}) for n in range(6)]
        assert [await output(store, parent) for parent in parents] == [{"x": 1}] * 6
    assert len(await of_workflow(store)) == 2


# -- decisions


def joins(n: int) -> dict[str, str]:
    return {"execution": f"p{n}", "run": "3", "child": f"c{n}"}


def test_those_that_joined_join_again_at_the_end_and_get_the_result(world, pending):
    run = world(f"do: [{{a: {CALL}}}]", lambda _: pending).start(1)
    for n in (1, 2, 1):
        run.send(MessageKind.JOIN, **joins(n))
    assert [event.data for event in run.of("workflow.joined")] == [joins(1), joins(2)]
    assert load_state(dump_state(run.state)) == run.state

    run.reply(run.requests[0], 7)
    run.settle()
    assert run.output == 7
    again = [SendMessage(Message(MessageKind.JOIN, "execution", joins(n))) for n in (1, 2)]
    assert run.outgoing[2:] == again
    for message in again:
        run.step(message.message)
    answers = [each.message for each in run.outgoing[4:]]
    assert [message.execution for message in answers] == ["p1", "p2"]
    assert answers[0].body == {"run": "3", "child": "c1", "status": "completed", "output": 7}
    assert len(run.history) == run.state.version


def test_an_execution_asks_whether_one_that_joined_it_is_waited_for(world, pending):
    run = world(f"do: [{{a: {CALL}}}]", lambda _: pending).start(1)
    run.send(MessageKind.JOIN, **joins(1)).send(MessageKind.JOIN, **joins(1))
    [search] = run.outgoing
    assert (search.message.execution, search.message.kind) == ("p1", MessageKind.CIRCLE)
    assert search.message.body == {
        "origin": "execution",
        "waits": [["p1", "3", "c1", True, -1]],
        "at": 0,
    }


def test_a_search_that_comes_back_breaks_the_circle_at_the_newest_join(world, pending):
    run = world(f"do: [{{a: {{{RUN}}}}}]", lambda _: pending).start(1)
    child = run.of("child.started")[0].data["child"]
    waits = [
        ["p1", "3", "c1", True, -1],
        ["p0", "3", "p1", False, 0],
        ["other", "7", "c3", True, 0],
        ["execution", "1", child, True, 1],
    ]
    run.outgoing.clear()
    run.send(MessageKind.CIRCLE, origin="execution", waits=waits, at=3)
    [answer] = run.outgoing
    body = answer.message.body
    assert (answer.message.execution, body["run"], body["child"]) == ("p1", "3", "c1")
    assert body["error"]["detail"].endswith("in turn: execution waits for p0 waits for p1")
    assert run.of("workflow.joined") == []


def test_a_search_ends_where_the_wait_is_over(world, pending):
    run = world(f"do: [{{a: {{{RUN}}}}}]", lambda _: pending).start(1)
    run.outgoing.clear()
    wait = ["execution", "1", "another", True, -1]
    run.send(MessageKind.CIRCLE, origin="execution", waits=[wait], at=0)
    assert run.outgoing == []


def test_a_search_visits_a_limited_number_of_waits_that_of_its_origin_first(world, pending):
    run = world(f"do: [{{a: {{{RUN}}}}}]", lambda _: pending).start(1)
    child = run.of("child.started")[0].data["child"]
    run.state.waiting = tuple(Waiting(f"p{n}", "3", "c1") for n in range(MAX_WAITS + 10))
    run.outgoing.clear()
    wait = ["execution", "1", child, True, -1]
    run.step(Message(MessageKind.CIRCLE, "execution", {"origin": "p3", "waits": [wait, wait], "at": 0}))
    [search] = run.outgoing
    waits = search.message.body["waits"]
    assert (len(waits), search.message.body["at"]) == (MAX_WAITS, 1)
    assert [each[0] for each in waits[2:4]] == ["p3", f"p{MAX_WAITS + 9}"]


def test_a_search_has_each_wait_once(world, pending):
    run = world(f"do: [{{a: {{{RUN}}}}}]", lambda _: pending).start(1)
    child = run.of("child.started")[0].data["child"]
    run.state.waiting = tuple(Waiting(f"p{n}", "3", "c1") for n in range(3))
    run.outgoing.clear()
    waits = [["execution", "1", child, True, -1], ["p1", "3", "c1", True, -1]]
    run.step(Message(MessageKind.CIRCLE, "execution", {"origin": "o", "waits": waits, "at": 0}))
    [search] = run.outgoing
    assert [each[0] for each in search.message.body["waits"]] == ["execution", "p1", "p2", "p0"]


def test_too_many_waiting_executions_are_refused(world, pending):
    run = world(f"do: [{{a: {CALL}}}]", lambda _: pending).start(1)
    run.state.waiting = tuple(range(MAX_WAITING))
    run.step(Message(MessageKind.JOIN, "execution", joins(1)))
    [answer] = run.outgoing
    assert (answer.message.execution, answer.message.body["status"]) == ("p1", "faulted")
    assert f"{MAX_WAITING} executions wait" in answer.message.body["error"]["detail"]
