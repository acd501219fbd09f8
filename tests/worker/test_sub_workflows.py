"""`run: workflow` (inventory A9, I62, I63)."""

import pytest
from tests.worker.test_service import deploy, ended, output, start, working

from unspool.definitions.compile import compile_plan
from unspool.definitions.document import load
from unspool.eventstore.events import Event
from unspool.eventstore.records import Message, MessageKind, SendMessage, StartExecution, Status, WorkflowRef
from unspool.worker.interpreter.snapshot import dump_state, load_state
from unspool.worker.replay import verify

CHILD = WorkflowRef("test", "child", "1.0.0")
RUN = "run: {workflow: {namespace: test, name: child}}"


def started(run):
    [first] = [each.start for each in run.outgoing if isinstance(each, StartExecution)]
    return first


def test_the_parent_waits_and_takes_the_output(world):
    run = world(f"do: [{{a: {{set: {{x: 1}}}}}}, {{b: {{{RUN}, output: {{as: .y}}}}}}]").start()
    child = started(run)
    assert (child.workflow, child.input) == (WorkflowRef("test", "child", "latest"), {"x": 1})
    assert (child.parent.execution, child.parent.depth) == ("execution", 1)
    assert run.state.status_phase is Status.RUNNING
    as_child = run.state.copy()
    as_child.parent = child.parent
    assert load_state(dump_state(as_child)) == as_child

    end = {"run": child.parent.run, "child": child.key.id, "status": "completed", "output": {"y": 2}}
    run.send(MessageKind.CHILD_ENDED, **end)
    assert run.output == 2
    version = run.state.version
    run.send(MessageKind.CHILD_ENDED, **end)
    assert run.state.version == version


def test_input_await_and_return(world):
    run = world("""
do:
  - a:
      run: {await: false, workflow: {namespace: test, name: child, version: 2.0.0, input: {n: "${ .n + 1 }"}}}
  - b: {run: {return: none, workflow: {namespace: test, name: child}}}
""").start({"n": 1})
    first, second = (each.start for each in run.outgoing)
    assert (first.workflow.version, first.input) == ("2.0.0", {"n": 2})
    assert second.input == {"n": 1}
    body = {"run": second.parent.run, "child": second.key.id, "status": "completed", "output": 7}
    assert run.send(MessageKind.CHILD_ENDED, **body).output is None


def test_the_fault_of_a_child_is_the_parents(world):
    run = world(f"do: [{{b: {{{RUN}}}}}]").start()
    child = started(run)
    error = {"type": "https://e", "status": 409, "title": "T", "detail": "no", "instance": "/do/0/x"}
    body = {"run": child.parent.run, "child": child.key.id, "status": "faulted", "error": error}
    found = run.send(MessageKind.CHILD_ENDED, **body).error
    assert found["detail"] == f"no (sub-workflow test/child, execution {child.key.id})"
    assert {**found, "detail": "no"} == {**error, "instance": "/do/0/b"}


@pytest.mark.parametrize("kind", [MessageKind.CANCEL, MessageKind.SUSPEND])
def test_operations_reach_awaited_children(world, kind):
    run = world(f"do: [{{b: {{{RUN}}}}}]").start()
    child = started(run)
    run.send(kind)
    assert run.outgoing[1:] == [SendMessage(Message(kind, child.key.id, {}))]


def test_a_timeout_cancels_the_child(world):
    run = world(f"do: [{{b: {{{RUN}, timeout: {{after: PT1S}}}}}}]").start()
    child = started(run)
    assert run.pass_time().error["status"] == 408
    assert run.outgoing[1:] == [SendMessage(Message(MessageKind.CANCEL, child.key.id, {}))]


async def test_end_to_end(store, jq):
    child = f"{{b: {{{RUN}, input: {{from: '{{n: $item}}'}}}}}}"
    await deploy(store, f"do: [{{f: {{for: {{in: '[range(20)]'}}, do: [{child}]}}}}]")
    await deploy(store, "do: [{a: {set: {never: true}}}]", CHILD)
    await deploy(store, "do: [{a: {set: '${ {got: .n} }'}}]", CHILD._replace(version="1.10.0"))
    async with working(store, jq, "w1"), working(store, jq, "w2"):
        key = await start(store, "parent")
        assert await output(store, key) == {"got": 19}
        children = children_of(await store.history(key))
        assert len(set(children)) == 20
        record = await store.execution(key._replace(id=children[0]))
    assert (record.workflow.version, record.parent.execution, record.parent.depth) == ("1.10.0", "parent", 1)


def children_of(history: list[Event]) -> list[str]:
    return [event.data["child"] for event in history if event.type == "child.started"]


async def test_an_unknown_workflow_and_input_that_its_schema_refuses(store, jq):
    await deploy(store, f"do: [{{b: {{{RUN}}}}}]")
    async with working(store, jq):
        key = await start(store, "unknown")
        await ended(store, key)
        error = (await store.last_event(key)).data["error"]
        assert error["type"].endswith("/configuration")
        assert error["detail"] == f"{NO_CHILD} (sub-workflow test/child)"
        await deploy(store, "input: {schema: {document: {type: object}}}\ndo: [{a: {set: {x: 1}}}]", CHILD)
        key = await start(store, "invalid", 7)
        await ended(store, key)
        error = (await store.last_event(key)).data["error"]
        assert error["type"].endswith("/validation")
        assert error["instance"] == "/do/0/b"


UNAWAITED = "run: {await: false, workflow: {namespace: test, name: child}}"
NO_CHILD = "there is no workflow test/child:latest"


async def verified(store, jq, text: str, key) -> None:
    assert verify(compile_plan(load(text).value, jq), key.id, await store.history(key)) is None


@pytest.mark.parametrize("condition", ["true", '("a" | test("a"))'], ids=["batch", "real jq"])
async def test_an_unknown_workflow_that_is_not_awaited(store, jq, condition):
    text = await deploy(store, f"do: [{{a: {{set: {{x: 1}}}}}}, {{b: {{if: '{condition}', {UNAWAITED}}}}}]")
    async with working(store, jq):
        key = await start(store, "parent")
        faulted = await ended(store, key)
        assert faulted.status is Status.FAULTED
        error = (await store.last_event(key)).data["error"]
        assert error["type"].endswith("/configuration")
        assert (error["detail"], error["instance"]) == (NO_CHILD, "/do/1/b")
        await verified(store, jq, text, key)
        await deploy(store, "do: [{a: {set: {y: 2}}}]", CHILD)
        await store.send("default", Message(MessageKind.RETRY, "parent", {}))
        await store.wait_for_version(key, faulted.version + 1, 60)
        assert await output(store, key) == {"x": 1}
        [child] = children_of(await store.history(key))
        assert await output(store, key._replace(id=child)) == {"y": 2}
        await verified(store, jq, text, key)


async def test_the_error_of_an_unknown_workflow_that_is_not_awaited_can_be_caught(store, jq):
    """Among others that exist, in a loop, and with an extension whose `after` list runs."""
    await deploy(store, "do: [{a: {set: {y: 2}}}]", CHILD)
    unknown = "run: {await: false, workflow: {namespace: test, name: child, version: 9.9.9}}"
    text = await deploy(
        store,
        f"""
use: {{extensions: [{{e: {{extend: run, after: [{{n: {{set: {{x: 1}}}}}}]}}}}]}}
do:
  - loop:
      for: {{in: '[range(30)]'}}
      do:
        - known: {{{UNAWAITED}}}
        - t:
            try: [{{u: {{{unknown}}}}}]
            catch: {{do: [{{c: {{set: '${{ [$error.detail, $item] }}'}}}}]}}
""",
    )
    async with working(store, jq):
        key = await start(store, "parent")
        assert await output(store, key) == ["there is no workflow test/child:9.9.9", 29]
    history = await store.history(key)
    assert len(children_of(history)) == 30
    await verified(store, jq, text, key)


async def test_recursion_that_is_not_awaited_ends_at_the_depth_limit(store, jq):
    text = await deploy(store, f"do: [{{b: {{{UNAWAITED}}}}}]", CHILD)
    async with working(store, jq, max_depth=3):
        key = await start(store, "top", ref=CHILD)
        for _ in range(3):
            assert (await ended(store, key)).status is Status.COMPLETED
            [child] = children_of(await store.history(key))
            key = key._replace(id=child)
        assert (await ended(store, key)).status is Status.FAULTED
        error = (await store.last_event(key)).data["error"]
    assert "nested deeper than 3" in error["detail"]
    await verified(store, jq, text, key)


async def test_recursion_ends_at_the_depth_limit_and_verifies(store, jq):
    text = await deploy(store, f"do: [{{b: {{{RUN}}}}}]", CHILD)
    async with working(store, jq, max_depth=5):
        key = await start(store, "top", ref=CHILD)
        await ended(store, key)
        error = (await store.last_event(key)).data["error"]
    assert "nested deeper than 5" in error["detail"]
    history = await store.history(key)
    assert verify(compile_plan(load(text).value, jq), key.id, history) is None


async def test_cancelling_the_parent_cancels_the_child(store, jq):
    await deploy(store, f"do: [{{b: {{{RUN}}}}}]")
    await deploy(store, "do: [{a: {wait: PT1H}}]", CHILD)
    async with working(store, jq):
        key = await start(store, "parent")
        await store.wait_for_version(key, 3, 60)
        [child] = children_of(await store.history(key))
        await store.send("default", Message(MessageKind.CANCEL, "parent", {}))
        assert (await ended(store, key)).status is Status.CANCELLED
        assert (await ended(store, key._replace(id=child))).status is Status.CANCELLED
