"""Events end to end: they reach the executions that listen, once, on both stores (P10, P11, I54)."""

import asyncio

from tests.worker.test_service import (
    TENANT,
    deploy,
    ended,
    output,
    start,
    working,
)

from unspool.definitions.compile import compile_plan
from unspool.definitions.document import load
from unspool.eventstore.opening import open_store
from unspool.eventstore.records import Status, WorkflowRef
from unspool.worker.replay import verify

ORDER = """do: [{l: {listen: {to: {one: {with: {type: paid}, correlate: {
  order: {from: .data.order, expect: '${ .order }'}}}}}}}]"""


def paid(order, id_=None):
    return {
        "specversion": "1.0",
        "id": id_ or f"paid-{order}",
        "source": "/bank",
        "type": "paid",
        "data": {"order": order},
    }


async def listening(store, keys):
    """Waits until executions wait for events."""
    async with asyncio.timeout(60):
        for key in keys:
            while (record := await store.execution(key)).status is not Status.WAITING:
                await store.wait_for_version(key, record.version, 60)


async def test_each_event_reaches_its_execution_once(store, jq):
    text = await deploy(store, ORDER)
    async with working(store, jq, "w1"), working(store, jq, "w2"):
        keys = [await start(store, f"e{n}", {"order": n}) for n in range(60)]
        await listening(store, keys)
        await store.publish(TENANT, [paid(n) for n in (*range(60), *range(60), 99)])
        for n, key in enumerate(keys):
            assert await output(store, key) == [{"order": n}]
    plan = compile_plan(load(text).value, jq)
    for key in keys:
        history = await store.history(key)
        assert [event.type for event in history].count("event.received") == 1
        assert verify(plan, key.id, history) is None


async def test_an_event_reaches_every_execution_that_listens(store, jq):
    await deploy(store, "do: [{l: {listen: {to: {any: [{with: {type: paid}}]}}}}]")
    async with working(store, jq):
        keys = [await start(store, f"e{n}") for n in range(20)]
        await listening(store, keys)
        await store.publish(TENANT, [paid(1)])
        assert [await output(store, key) for key in keys] == [[{"order": 1}]] * 20


async def test_a_type_that_is_no_text_stops_no_worker(store, jq):
    odd = WorkflowRef("test", "odd", "1.0.0")
    await deploy(store, ORDER)
    await deploy(store, "do: [{l: {listen: {to: {one: {with: {type: '${ $input }'}}}}}}]", odd)
    async with working(store, jq, "w1"):
        keys = [await start(store, f"odd{n}", value, odd) for n, value in enumerate((["paid"], {"a": 1}, 1))]
        keys.append(await start(store, "e", {"order": 1}))
        await listening(store, keys)
    await store.publish(TENANT, [paid(1)])
    async with working(store, jq, "w2"):
        assert await output(store, keys[-1]) == [{"order": 1}]
        assert {(await store.execution(key)).status for key in keys[:-1]} == {Status.WAITING}


async def test_executions_talk_with_events(store, jq):
    ask = """do: [{e: {emit: {event: {with: {type: question, data: {n: 1}}}}}},
      {l: {listen: {to: {one: {with: {type: answer}}}}}}]"""
    answer = """do: [{l: {listen: {to: {one: {with: {type: question}}}}}},
      {e: {emit: {event: {with: {type: answer, data: '${ .[0].n + 1 }'}}}}}]"""
    asking, answering = (WorkflowRef("test", name, "1.0.0") for name in ("ask", "answer"))
    await deploy(store, ask, asking)
    await deploy(store, answer, answering)
    async with working(store, jq):
        second = await start(store, "answer", None, answering)
        await listening(store, [second])
        first = await start(store, "ask", None, asking)
        await ended(store, second)
        published = await until_published(store, 2)
        assert [each.event["type"] for each in published] == ["question", "answer"]
        # If the first began to listen after the answer, it gets the same answer again.
        await listening_or_ended(store, first)
        await store.publish(TENANT, [{**published[-1].event, "id": "again"}])
        assert await output(store, first) == [2]


async def until_published(store, count):
    """Waits for events: the store may publish those of a commit a little later."""
    async with asyncio.timeout(60):
        while len(published := await store.published_events(TENANT)) < count:
            await store.wait_for_events(TENANT, published[-1].position if published else None, 1)
    return published


async def listening_or_ended(store, key):
    async with asyncio.timeout(60):
        while not ((record := await store.execution(key)).status.ended or record.status is Status.WAITING):
            await store.wait_for_version(key, record.version, 60)


async def test_events_wait_for_a_worker(store, jq):
    await deploy(store, "do: [{l: {listen: {to: {any: [{with: {type: paid}}], until: 'length == 50'}}}}]")
    async with working(store, jq, "w1"):
        key = await start(store, "e")
        await listening(store, [key])
    await store.publish(TENANT, [paid(n) for n in range(50)])
    async with working(store, jq, "w2"):
        assert await output(store, key) == [{"order": n} for n in range(50)]


async def test_workers_that_share_the_events_of_one_execution_keep_their_order(store, store_url, jq):
    """Each of them reads some of the messages, so it holds later ones while another has earlier ones."""
    await deploy(store, "do: [{l: {listen: {to: {any: [{with: {type: paid}}], until: 'length == 200'}}}}]")
    async with working(store, jq, "w0"):
        key = await start(store, "e")
        await listening(store, [key])
    second = await open_store(store_url, {})
    async with working(store, jq, "w1"), working(second, jq, "w2"):
        for n in range(200):
            await store.publish(TENANT, [paid(n)])
        assert [each["order"] for each in await output(store, key)] == list(range(200))
    await second.close()


async def test_events_go_on_while_workers_come_and_go(store, jq):
    await deploy(store, "do: [{l: {listen: {to: {any: [{with: {type: paid}}], until: 'length == 200'}}}}]")
    async with working(store, jq, "w0"):
        key = await start(store, "e")
        await listening(store, [key])

    async def publish():
        for n in range(200):
            await store.publish(TENANT, [paid(n)])

    publishing = asyncio.create_task(publish())
    name = 0
    while not publishing.done():
        name += 1
        async with working(store, jq, f"w{name}"):
            await asyncio.wait([publishing], timeout=0.2)
    async with working(store, jq, "last"):
        assert [each["order"] for each in await output(store, key)] == list(range(200))
