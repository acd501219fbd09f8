"""A task that starts to listen a little late still gets its event, once (DESIGN §9; I46, P10)."""

import asyncio

import pytest
from tests.worker.test_event_delivery import ORDER, listening, paid
from tests.worker.test_event_schedules import ECHO, ONE, event, outputs
from tests.worker.test_event_schedules import listening as schedule_listening
from tests.worker.test_schedules import deployed, running
from tests.worker.test_service import CALL, TENANT, deploy, output, start, working

from unspool.definitions.compile import compile_plan
from unspool.definitions.document import load
from unspool.eventstore.consumers import Consumer
from unspool.eventstore.opening import open_store
from unspool.eventstore.records import Message, MessageKind, WorkflowRef
from unspool.worker.interpreter.event_index import EventKeys
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


async def test_all_tasks_that_listen_at_once_get_an_earlier_event(store, jq):
    await deploy(
        store,
        """do: [{f: {fork: {branches: [
        {a: {listen: {to: {one: {with: {type: paid}}}}}},
        {b: {listen: {to: {one: {with: {type: paid}, correlate: {order: {from: .data.order}}}}}}},
        {c: {for: {in: '${ [1, 2, 3] }'}, metadata: {unspool: {concurrency: 3}}, do: [
          {d: {listen: {to: {one: {with: {type: paid}}}}}}]}}]}}}]""",
    )
    async with working(store, jq):
        await matched(store, paid(1))
        keys = [await start(store, f"late-{n}") for n in range(4)]

        for key in keys:
            await output(store, key)
            assert await consumed(store, key) == ["paid-1"] * 5


PAIR = f"""do: [{{f: {{fork: {{branches: [
  {{a: {{listen: {{to: {{one: {{with: {{type: paid}}}}}}}}}}}},
  {{b: {{do: [{{call: {CALL}}}, {{l: {{listen: {{to: {{one: {{with: {{type: paid}}}}}}}}}}}}]}}}}]}}}}}}]"""


async def half_listening(store, jq):
    """An execution of `PAIR` of which one branch listens and the other has a task; and this task."""
    await deploy(store, PAIR)
    executor = Consumer("executors", "e1", frozenset({"http"}))
    async with working(store, jq, "w1"), asyncio.timeout(60):
        key = await start(store, "pair")
        while not (tasks := await store.receive_tasks(executor, 1, 1)):
            pass
    assert [event.type for event in await store.history(key)].count("workflow.correlation-started") == 1
    return key, tasks[0]


async def answer(store, task) -> None:
    body = {"run": task.body.run, "output": {}}
    await store.finish_task(task, Message(MessageKind.TASK_COMPLETED, task.body.execution, body))


async def publish_and_match(store, event) -> None:
    await store.publish(TENANT, [event])
    batch = await store.receive_events(Consumer("workers", "w0"), 10, 60)
    assert await store.match(batch, EventKeys()) == 1


async def test_a_task_that_listens_before_another_consumes_an_event_gets_it(store, jq):
    """A worker that was away decides both in one commit."""
    key, task = await half_listening(store, jq)
    await answer(store, task)
    await publish_and_match(store, paid(1))

    async with working(store, jq, "w2"):
        await output(store, key)
    assert await consumed(store, key) == ["paid-1", "paid-1"]


async def test_a_task_that_listens_after_another_has_consumed_an_event_does_not_get_it(store, jq):
    key, task = await half_listening(store, jq)
    await publish_and_match(store, paid(1))
    await answer(store, task)

    async with working(store, jq, "w2"):
        await listening(store, [key])
        await store.publish(TENANT, [paid(2)])
        await output(store, key)
    assert await consumed(store, key) == ["paid-1", "paid-2"]


async def test_a_schedule_does_not_look_back(store, jq):
    await store.publish(TENANT, [event("t", 1, 1)])
    async with running(store, jq):
        await matched(store, paid(1))
        await deployed(store, ONE, tasks=ECHO)
        await schedule_listening(store)
        await store.publish(TENANT, [event("t", 2, 2)])

        found = await outputs(store, 2)  # of the listener in `matched`, and of the schedule
    assert [each["id"] for [each] in found if "id" in each] == ["2"]
