"""Published events go through real brokers to the bus of another store, in both modes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiormq
import pytest
from tests.background import served

from unspool.eventstore.opening import open_store
from unspool.eventstore.port import EventStore
from unspool.executor.transports.opening import opened_transports

# aiokafka can leave a connection to the garbage collector when a consumer is stopped while it connects.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.timeout(300),  # the first test of a broker starts it
]

EVENTS = [
    {"specversion": "1.0", "id": f"{n}", "source": "/shop", "type": "paid", "subject": "ä", "data": {"n": n}}
    for n in range(120)
]


@contextlib.asynccontextmanager
async def transporting(**environment: str) -> AsyncIterator[EventStore]:
    """A store with a service that carries its events."""
    store = await open_store("sqlite://", {})
    settings = {"UNSPOOL_EVENT_SINK_LONGEST_PAUSE": "0.2"} | environment
    try:
        async with opened_transports(store, "sqlite://", settings, "t1") as service, served(service):
            yield store
    finally:
        await store.close()


async def eventually(read: Callable[[], Awaitable[Any]], holds: Callable[[Any], bool]) -> Any:
    async with asyncio.timeout(90):
        while not holds(found := await read()):
            await asyncio.sleep(0.05)
        return found


def _address(kind: str, mode: str, request: pytest.FixtureRequest) -> str:
    channel = f"events.{kind}.{mode}"
    if kind == "mqtt5":
        port, _, _ = request.getfixturevalue("mosquitto")
        return f"mqtt5://127.0.0.1:{port}?channel=events/{mode}&qos=1"
    if kind == "mqtt":
        port, _, _ = request.getfixturevalue("mosquitto")
        return f"mqtt://127.0.0.1:{port}?channel=events3/{mode}&qos=1"
    if kind == "nats":
        port, _ = request.getfixturevalue("nats_server")
        return f"nats://127.0.0.1:{port}?channel={channel}&queue=unspool"
    if kind == "amqp":
        return (
            f"amqp://guest:guest@127.0.0.1:{request.getfixturevalue('rabbitmq')}/?channel={channel}&is=queue"
        )
    return f"kafka://127.0.0.1:{request.getfixturevalue('kafka')}?channel={channel}&groupId=unspool&key=all"


async def _declare(queue: str, address: str) -> None:
    """Makes a queue, as its owner does."""
    connection = await aiormq.connect(address.partition("?")[0])
    channel = await connection.channel()
    await channel.queue_declare(queue, durable=True)
    await connection.close()


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        *[(kind, mode) for kind in ("mqtt5", "nats", "amqp", "kafka") for mode in ("structured", "binary")],
        ("mqtt", "structured"),
    ],
)
async def test_events_reach_another_store(kind: str, mode: str, request: pytest.FixtureRequest):
    address = f"{_address(kind, mode, request)}&mode={mode}"
    if kind == "amqp":
        await _declare(f"events.amqp.{mode}", address)
    async with transporting(UNSPOOL_EVENTS_BROKERS=address) as there:
        await eventually(there.sources, lambda sources: bool(sources) and not sources[0].failure)
        async with transporting(UNSPOOL_EVENT_SINK_BROKER=address) as here:
            await eventually(here.sinks, bool)
            await here.publish("default", EVENTS)

            async def arrived() -> list[Any]:
                return [each.event for each in await there.published_events("default", limit=1000)]

            found = await eventually(arrived, lambda events: len(events) >= len(EVENTS))
    for event in found:
        event.pop("datacontenttype", None)  # binary mode adds it
    assert found == EVENTS
