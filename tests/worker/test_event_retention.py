"""A task that starts to listen a little late still gets its event, once (DESIGN §9; I46, P10)."""

import asyncio

import pytest
from tests.worker.test_event_delivery import ORDER, listening, paid
from tests.worker.test_event_schedules import ECHO, ONE, event, outputs
from tests.worker.test_event_schedules import listening as schedule_listening
from tests.worker.test_schedules import deployed, running
from tests.worker.test_service import TENANT, deploy, output, start, working

from unspool.definitions.compile import compile_plan
from unspool.definitions.document import load
from unspool.eventstore.opening import open_store
from unspool.eventstore.records import WorkflowRef
from unspool.worker.replay import verify

ENVIRONMENT = {"UNSPOOL_EVENT_RETENTION": "60"}
PROBE = "do: [{l: {listen: {to: {one: {with: {type: paid}}}}}}]"


@pytest.fixture
async def store(store_url):
    opened = await open_store(store_url, ENVIRONMENT)
    yield opened
    await opened.close()


async def matched(store, *events) -> None:
    """Publishes events and waits until they are matched: a listener from before has got the first."""
    ref = WorkflowRef("test", "probe", "1.0.0")
    await deploy(store, PROBE, ref)
    key = await start(store, f"probe-{events[0]['id']}", None, ref)
    await listening(store, [key])
    await store.publish(TENANT, list(events))
    await output(store, key)


async def consumed(store, key) -> list[str]:
    """The ids of the events that an execution has consumed."""
    history = await store.history(key)
    return [event.data["event"]["id"] for event in history if event.type == "event.received"]


async def test_a_task_that_starts_late_gets_its_event(store, jq):
    await deploy(store, ORDER)
    async with working(store, jq):
        await matched(store, paid(1), paid(2), paid(3))
        key = await start(store, "late", {"order": 2})

        assert await output(store, key) == [{"order": 2}]
        assert await consumed(store, key) == ["paid-2"]


async def test_a_later_task_of_an_execution_gets_the_next_event(store, jq):
    text = await deploy(
        store,
        """do:
        - first: {listen: {to: {one: {with: {type: paid}}}}, output: {as: '.[0].order'}}
        - second: {listen: {to: {one: {with: {type: paid}}}}, output: {as: '.[0].order'}}
        - third: {listen: {to: {one: {with: {type: paid}}}}, output: {as: '.[0].order'}}""",
    )
    async with working(store, jq):
        await matched(store, paid(1), paid(2))
        key = await start(store, "late")
        await listening(store, [key])
        await store.publish(TENANT, [paid(3), paid(1)])

        assert await output(store, key) == 3
    assert await consumed(store, key) == ["paid-1", "paid-2", "paid-3"]
    assert verify(compile_plan(load(text).value, jq), key.id, await store.history(key)) is None


async def test_whenever_a_task_starts_it_gets_each_event_once(store_url, store, jq):
    """Executions start while their events are published, with two workers in two processes' stores."""
    await deploy(store, ORDER)
    other = await open_store(store_url, ENVIRONMENT)
    async with working(store, jq, "w1"), working(other, jq, "w2"):
        keys = []
        for n in range(40):
            publishing = other.publish(TENANT, [paid(n)])
            starting = start(store, f"e{n}", {"order": n})
            if n % 4 == 0:
                await publishing
                keys.append(await starting)
            else:
                keys.append((await asyncio.gather(starting, publishing))[0])
        for n, key in enumerate(keys):
            assert await output(store, key) == [{"order": n}]
    for n, key in enumerate(keys):
        assert await consumed(store, key) == [f"paid-{n}"]
    await other.close()


async def test_a_schedule_does_not_look_back(store, jq):
    await store.publish(TENANT, [event("t", 1, 1)])
    async with running(store, jq):
        await matched(store, paid(1))
        await deployed(store, ONE, tasks=ECHO)
        await schedule_listening(store)
        await store.publish(TENANT, [event("t", 2, 2)])

        found = await outputs(store, 2)  # of the listener in `matched`, and of the schedule
    assert [each["id"] for [each] in found if "id" in each] == ["2"]
