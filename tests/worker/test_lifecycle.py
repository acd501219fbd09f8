"""Lifecycle events (inventory T2-T7)."""

import asyncio

from tests.worker.test_service import TENANT, deploy, ended, output, start, working

from unspool.eventstore.records import Message, MessageKind, Status


def short(event):
    return event["type"].removeprefix("io.serverlessworkflow.").removesuffix(".v1")


async def published(store):
    return [each.event for each in await store.published_events(TENANT, limit=1000)]


async def told(store, key, kind, status):
    """Suspends or resumes an execution, and waits for its status."""
    await store.send(TENANT, Message(kind, key.id, {}))
    await until(store, key, lambda record: record.status is status)


async def until(store, key, holds):
    async with asyncio.timeout(60):
        while not holds(record := await store.execution(key)):
            await store.wait_for_version(key, record.version, 1)
    return record


async def publish(store, type_, data=None):
    await store.publish(
        TENANT, [{"specversion": "1.0", "id": type_, "source": "/s", "type": type_, "data": data}]
    )


async def test_the_lifecycle_of_an_execution(store, jq):
    await deploy(store, "do: [{a: {set: {x: 1}}}, {b: {raise: {error: {type: 'x:e', status: 409}}}}]")
    async with working(store, jq, lifecycle_events=True):
        await ended(store, await start(store, "e"))
    events = await published(store)
    assert [short(event) for event in events] == [
        "workflow.started",
        "task.created",
        "task.started",
        "task.completed",
        "task.created",
        "task.started",
        "task.faulted",
        "workflow.faulted",
    ]
    name = "w-e.test"
    started, completed, faulted = events[0], events[3], events[-2]
    assert {**started, "time": "", "data": {**started["data"], "startedAt": ""}} == {
        "specversion": "1.0",
        "id": "e/1",
        "source": "/test/w/1.0.0",
        "type": "io.serverlessworkflow.workflow.started.v1",
        "subject": name,
        "time": "",
        "datacontenttype": "application/json",
        "data": {
            "name": name,
            "startedAt": "",
            "definition": {"namespace": "test", "name": "w", "version": "1.0.0"},
        },
    }
    assert completed["data"] == {
        "workflow": name,
        "task": "/do/0/a",
        "completedAt": completed["time"],
        "outputUri": "/api/v1/executions/e/events?after=3&limit=1",
    }
    assert faulted["data"]["error"] == {"type": "x:e", "status": 409, "instance": "/do/1/b"}


async def test_tasks_are_suspended_and_resumed_with_their_workflow(store, jq):
    await deploy(store, "do: [{a: {listen: {to: {one: {with: {type: t}, correlate: {k: {from: .data}}}}}}}]")
    async with working(store, jq, lifecycle_events=True):
        key = await start(store, "e")
        await told(store, key, MessageKind.SUSPEND, Status.SUSPENDED)
        await told(store, key, MessageKind.RESUME, Status.WAITING)
        await publish(store, "t", 7)
        assert await output(store, key) == [7]
    events = await published(store)
    found = {short(event): event["data"] for event in events if "e/" in event["id"]}
    assert list(found) == [
        "workflow.started",
        "task.created",
        "task.started",
        "workflow.correlation-started",
        "workflow.suspended",
        "task.suspended",
        "workflow.resumed",
        "task.resumed",
        "workflow.correlation-completed",
        "task.completed",
        "workflow.completed",
    ]
    assert found["task.suspended"]["task"] == found["task.resumed"]["task"] == "/do/0/a"
    assert found["workflow.correlation-completed"]["correlationKeys"] == {"k": 7}
    assert found["workflow.completed"]["outputUri"] == "/api/v1/executions/e"


async def test_only_tasks_that_were_suspended_are_resumed(store, jq):
    """`a` ends while the workflow is suspended, and `z` starts in the decision that resumes it."""
    await deploy(
        store, f"do: [{{f: {{fork: {{branches: [{{x: {LISTEN % 'u'}}}, {{y: {{do: {AWAITED}}}}}]}}}}}}]"
    )
    async with working(store, jq, lifecycle_events=True):
        key = await start(store, "e")
        await until(store, key, lambda record: record.status is Status.WAITING)
        await told(store, key, MessageKind.SUSPEND, Status.SUSPENDED)
        version = (await store.execution(key)).version
        await publish(store, "t")
        await until(store, key, lambda record: record.version > version)
        await told(store, key, MessageKind.RESUME, Status.WAITING)
        await publish(store, "u")
        await ended(store, key)
    lifecycle = [event for event in await published(store) if "e/" in event["id"]]
    events = [(short(event), event["data"].get("task")) for event in lifecycle]
    f, x, y = "/do/0/f", "/do/0/f/fork/branches/0/x", "/do/0/f/fork/branches/1/y"
    assert [task for type_, task in events if type_ == "task.suspended"] == [f, x, y, f"{y}/do/0/a"]
    assert [task for type_, task in events if type_ == "task.resumed"] == [f, x, y]
    resumed = events.index(("workflow.resumed", None))
    assert events[resumed + 4] == ("task.started", f"{y}/do/1/z")


LISTEN = "{listen: {to: {one: {with: {type: %s}}}}}"
AWAITED = f"[{{a: {LISTEN % 't'}}}, {{z: {{set: {{x: 1}}}}}}]"


async def test_nothing_is_published_unless_it_is_set(store, jq):
    await deploy(store, "do: [{a: {set: {x: 1}}}]")
    async with working(store, jq):
        await ended(store, await start(store, "e"))
    assert await published(store) == []
