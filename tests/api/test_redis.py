"""The API on Redis: the parts that depend on the store most."""

import asyncio

import pytest

from unspool.eventstore.consumers import Consumer
from unspool.eventstore.records import MessageKind, Status
from unspool.eventstore.redis.settings import RedisSettings
from unspool.eventstore.redis.store import RedisStore


@pytest.fixture
async def api(redis_database, running_api):
    """The API on an empty Redis database."""
    store = RedisStore(redis_database, RedisSettings())
    await store.open()
    async with running_api(store) as running:
        yield running
    await store.close()


async def test_from_start_to_end(api, greet):
    await api.deploy(greet)
    waiting = asyncio.create_task(api.start(200, "?wait=30", id="it", input={"name": "Ada"}))
    await api.started("it")
    await api.begin("it")
    await api.move("it", Status.COMPLETED)
    execution = await waiting
    assert (execution["input"], execution["output"]) == ({"name": "Ada"}, {"greeting": "Hello Ada"})
    assert (await api.get("/executions?status=completed"))["items"] == [execution]
    assert [event["seq"] for event in (await api.get("/executions/it/events"))["items"]] == [1, 2]
    async with api.session.get(f"{api.url}/api/v1/executions/it/events/stream") as response:
        text = await response.text()
    assert text.count("\ndata: ") == 2


async def test_an_operation_is_waited_for(api, greet):
    await api.deploy(greet)
    await api.start(id="it")
    await api.begin("it")
    worker = Consumer("workers", "one")
    await api.store.acknowledge(await api.store.receive_messages(worker, 10, 5))
    waiting = asyncio.create_task(api.post("/executions/it/cancel?wait=30", 200))
    [delivery] = await api.store.receive_messages(worker, 10, 60)
    assert delivery.body.kind is MessageKind.CANCEL
    await api.move("it", Status.CANCELLED)
    assert (await waiting)["status"] == "cancelled"


@pytest.mark.parametrize("id_", ["nothing", "0-0", "9" * 25, "-", "a:b:c"])
async def test_odd_ids_are_not_found(api, id_):
    await api.get(f"/dlq/{id_}", 404)
    await api.post(f"/dlq/{id_}/requeue", 404)
    await api.call("DELETE", f"/dlq/{id_}", 404)
    await api.get("/executions?cursor=x", 422)
