"""Channels of message brokers: one gets the published events, the messages of others are published."""

import asyncio
import contextlib
import json

import pytest
import redis
from tests.background import served

from unspool.eventstore.settings import BadSetting
from unspool.executor.brokers.port import InboundMessage
from unspool.executor.transports.broker_address import broker_address
from unspool.executor.transports.cloud_event_messages import STRUCTURED, event_of, message_of
from unspool.executor.transports.opening import opened_transports
from unspool.executor.transports.stream_entry import NoEvent

TENANT = "default"
EVENT = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "paid", "ordernumber": 7}


def event(id_, **attributes):
    return {**EVENT, "id": f"{id_}", **attributes}


@pytest.fixture
def client(redis_database):
    """A client for a Redis with channels of others."""
    with redis.Redis.from_url(redis_database.removesuffix("/0") + "/1", decode_responses=True) as client:
        yield client


@pytest.fixture
def channel(redis_database):
    """The address of a channel on this Redis."""
    server = redis_database.removesuffix("/0") + "/1"
    return lambda name, **options: (
        f"{server}?channel={name}&x-type=stream" + "".join(f"&{k}={v}" for k, v in options.items())
    )


@contextlib.asynccontextmanager
async def transporting(store, **environment):
    settings = {"UNSPOOL_EVENT_SINK_LONGEST_PAUSE": "0.05"} | environment
    async with opened_transports(store, "sqlite://", settings, "t1") as service, served(service):
        if "UNSPOOL_EVENT_SINK_BROKER" in environment:
            await eventually(store.sinks, bool)
        yield


async def eventually(read, holds):
    async with asyncio.timeout(60):
        while not holds(found := await read()):
            await asyncio.sleep(0.02)
        return found


async def published(store):
    return [each.event for each in await store.published_events(TENANT, limit=1000)]


@pytest.mark.parametrize("mode", ["structured", "binary"])
async def test_a_channel_gets_published_events(store, client, channel, mode):
    sent = [event(n, data={"n": n}) for n in range(250)]
    async with transporting(store, UNSPOOL_EVENT_SINK_BROKER=channel("out", mode=mode)):
        await store.publish(TENANT, sent)

        async def entries():
            return await asyncio.to_thread(client.xrange, "out")

        found = await eventually(entries, lambda found: len(found) >= 250)
    fields = [fields for _, fields in found]
    if mode == "structured":
        assert {each["content-type"] for each in fields} == {STRUCTURED}
        assert [json.loads(each["payload"]) for each in fields] == sent
    else:
        assert [json.loads(each["payload"]) for each in fields] == [{"n": n} for n in range(250)]
        assert fields[3]["ce_id"] == "3"
        assert fields[3]["ce_ordernumber"] == "7"
        assert fields[3]["content-type"] == "application/json"


async def test_messages_of_a_channel_are_published_once(store, client, channel):
    async with transporting(store, UNSPOOL_EVENTS_BROKERS=channel("in", type="other.type")):
        await eventually(store.sources, bool)
        for n in range(150):
            client.xadd("in", {"payload": json.dumps(event(n)), "content-type": STRUCTURED})
        client.xadd("in", {"payload": json.dumps(event(3)), "content-type": STRUCTURED})  # again
        client.xadd(
            "in",
            {"payload": "x", "ce_specversion": "1.0", "ce_type": "b", "ce_id": "b", "content-type": "text/x"},
        )
        client.xadd("in", {"payload": '{"n": 1}', "content-type": "application/json"})
        client.xadd("in", {"payload": "{", "content-type": STRUCTURED})
        client.xadd("in", {"payload": json.dumps(event("last")), "content-type": STRUCTURED})
        found = await eventually(lambda: published(store), lambda found: found and found[-1]["id"] == "last")
        [source] = await eventually(store.sources, lambda sources: sources[0].published == 153)
    assert [each["id"] for each in found[:150]] == [str(n) for n in range(150)]
    binary, other, _ = found[150:]
    assert (binary["type"], binary["data"], binary["source"]) == ("b", "x", "/channels/in")
    assert (other["type"], other["data"]) == ("other.type", {"n": 1})
    assert (source.published, source.refused) == (153, 1)
    assert client.xpending("in", "unspool-events")["pending"] == 0


async def test_messages_that_came_meanwhile_are_published_at_the_next_start(store, client, channel):
    address = channel("in")
    async with transporting(store, UNSPOOL_EVENTS_BROKERS=address):
        await eventually(store.sources, bool)
    client.xadd("in", {"payload": json.dumps(event(1))})
    async with transporting(store, UNSPOOL_EVENTS_BROKERS=address):
        await eventually(lambda: published(store), lambda found: [each["id"] for each in found] == ["1"])


async def test_a_broker_that_does_not_answer_is_tried_again(store, unused_tcp_port, caplog):
    nowhere = f"redis://127.0.0.1:{unused_tcp_port}/0?channel=x"
    async with transporting(
        store,
        UNSPOOL_EVENTS_BROKERS=nowhere,
        UNSPOOL_EVENT_SINK_BROKER=nowhere.replace("//", "//user:pw9@") + "y",
    ):
        await store.publish(TENANT, [event(1)])
        [source] = await eventually(store.sources, bool)
        assert source.failure
        await eventually(store.sinks, lambda sinks: sinks[0].failing_since)
    assert "pw9" not in caplog.text


ADDRESS = broker_address("X", "redis://h/0?channel=c&type=t")


@pytest.mark.parametrize("protocol", ["kafka", "amqp", "nats", "mqtt", "http"])
@pytest.mark.parametrize(
    "data",
    [{"data": {"a": 1}}, {"data": "text", "datacontenttype": "text/plain"}, {"data_base64": "AAE="}, {}],
    ids=["json", "text", "bytes", "none"],
)
def test_binary_mode_keeps_an_event(protocol, data):
    sent = event("1", subject="s", time="2026-11-29T10:00:00Z", **data)
    if "data_base64" in data:
        sent["datacontenttype"] = "application/octet-stream"
    message = message_of(json.dumps(sent).encode(), protocol, binary=True)
    got = event_of(InboundMessage(message.payload, message.content_type, message.headers), ADDRESS)
    if "datacontenttype" not in sent:
        assert got.pop("datacontenttype") == "application/json"
    assert got == {**sent, "ordernumber": "7"}  # attributes of headers are text


def test_data_may_be_an_empty_text_and_no_header_is_data():
    """No attribute is an empty text, so one that a message has is left out."""
    sent = event("1", data="")
    assert event_of(InboundMessage(json.dumps({**sent, "subject": ""}).encode(), STRUCTURED), ADDRESS) == sent
    headers = {f"ce_{name}": str(value) for name, value in event("1", data="x").items()}
    assert "data" not in event_of(InboundMessage(b"", "", headers), ADDRESS)


@pytest.mark.parametrize(
    ("payload", "content_type", "said"),
    [
        (b"[]", STRUCTURED, "not a JSON object"),
        (b"{", STRUCTURED, "JSON"),
        (b"\xff", "text/plain", "UTF-8"),
        (b'{"specversion": "1.0"}', "", "missing"),
    ],
)
def test_what_is_no_event_is_named(payload, content_type, said):
    with pytest.raises(NoEvent, match=said):
        event_of(InboundMessage(payload, content_type), ADDRESS)


def test_a_message_without_a_type_needs_one_from_the_address():
    with pytest.raises(NoEvent, match="type"):
        event_of(InboundMessage(b"1"), broker_address("X", "redis://h?channel=c"))


@pytest.mark.parametrize(
    "text",
    [
        *("x", "ftp://h?channel=c", "redis://h", "redis://h?channel=", "redis://h:x?channel=c"),
        *("redis://h?channel=c&mode=x", "redis://h?channel=c&tenant=%20"),
    ],
)
async def test_a_bad_address_is_named(store, text):
    with pytest.raises(BadSetting, match="UNSPOOL_EVENTS_BROKERS"):
        async with opened_transports(store, "sqlite://", {"UNSPOOL_EVENTS_BROKERS": text}, "t1"):
            pass


async def test_a_channel_is_not_both_sink_and_source(store, channel):
    sink = channel("x", mode="binary")
    environment = {"UNSPOOL_EVENTS_BROKERS": channel("x"), "UNSPOOL_EVENT_SINK_BROKER": sink}
    with pytest.raises(BadSetting, match="the same channel"):
        async with opened_transports(store, "sqlite://", environment, "t1"):
            pass
