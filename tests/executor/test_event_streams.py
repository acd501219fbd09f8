"""Redis streams: a capped one that gets published events, and those of others whose entries are published."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import pytest
import redis
from tests.background import served
from tests.tcp_proxy import RedisProxy

from unspool.eventstore.opening import open_store
from unspool.eventstore.port import EventStore
from unspool.eventstore.redis import scripts
from unspool.eventstore.retry import retry_until_available
from unspool.eventstore.settings import BadSetting
from unspool.eventstore.waiting import cancel
from unspool.executor.transports.opening import opened_transports
from unspool.executor.transports.redis_streams import connected_to, stream_address
from unspool.executor.transports.stream_entry import MAX_BYTES, NoEvent, event_of
from unspool.executor.transports.stream_source import StreamSource

TENANT = "default"


def event(id_: Any, **attributes: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "id": f"{id_}", "source": "/shop", "type": "paid", **attributes}


@pytest.fixture
def server(redis_database: str) -> str:
    """The URL of another database of the shared Redis."""
    return redis_database.removesuffix("/0") + "/1"


@pytest.fixture
def client(server: str) -> Any:
    """A client for the owners of the streams."""
    with redis.Redis.from_url(server) as client:
        yield client


@contextlib.asynccontextmanager
async def transporting(
    store: EventStore, name: str = "t1", url: str = "sqlite://", **environment: str
) -> AsyncIterator[None]:
    settings = {"UNSPOOL_EVENT_SINK_LONGEST_PAUSE": "0.05"} | environment
    async with opened_transports(store, url, settings, name) as service, served(service):
        if "UNSPOOL_EVENT_SINK_STREAM" in environment:
            await eventually(store.sinks, bool)
        yield


async def eventually(read: Callable[[], Any], holds: Callable[[Any], bool]) -> Any:
    """Waits until what is read fulfils a condition; returns it."""
    async with asyncio.timeout(60):
        while not holds(found := await read()):
            await asyncio.sleep(0.02)
        return found


async def published(store: EventStore, count: int, tenant: str = TENANT) -> list[Any]:
    """Waits for so many published events; returns all."""
    read = partial(store.published_events, tenant, limit=5_000)
    found = await eventually(lambda: retry_until_available(read), lambda events: len(events) >= count)
    return [each.event for each in found]


# Out


async def test_a_stream_gets_published_events(store, client, server):
    async with transporting(store, UNSPOOL_EVENT_SINK_STREAM=f"{server}?stream=out"):
        for tenant in ("a", "b"):
            await store.publish(tenant, [event(n, data={"n": n}) for n in range(150)])
        await eventually(store.sinks, lambda sinks: sinks[0].sent == 300)

    entries = client.xrange("out")
    for tenant in (b"a", b"b"):
        got = [json.loads(fields[b"event"]) for _, fields in entries if fields[b"tenant"] == tenant]
        assert got == [event(n, data={"n": n}) for n in range(150)]


async def test_the_stream_is_capped(store, client, server):
    stream = {"UNSPOOL_EVENT_SINK_STREAM": f"{server}?stream=out", "UNSPOOL_EVENT_SINK_STREAM_LENGTH": "200"}
    async with transporting(store, **stream):
        for first in range(0, 2_000, 500):
            await store.publish(TENANT, [event(n) for n in range(first, first + 500)])
        await eventually(store.sinks, lambda sinks: sinks[0].sent == 2_000)

    assert 200 <= client.xlen("out") < 400  # Redis removes whole nodes
    assert json.loads(client.xrevrange("out", count=1)[0][1][b"event"]) == event(1_999)


async def test_a_stream_whose_redis_was_away_gets_everything(store, own_redis):
    async with transporting(store, UNSPOOL_EVENT_SINK_STREAM=f"{own_redis.url}?stream=out"):
        await store.publish(TENANT, [event(0)])
        await eventually(store.sinks, lambda sinks: sinks[0].sent == 1)
        own_redis.kill()
        await store.publish(TENANT, [event(n) for n in range(1, 50)])
        [failing] = await eventually(store.sinks, lambda sinks: sinks[0].failing_since is not None)
        assert failing.failure.startswith("cannot be reached")
        own_redis.start()
        await eventually(store.sinks, lambda sinks: not sinks[0].lag)
    with own_redis.admin as admin:
        ids = [json.loads(fields[b"event"])["id"] for _, fields in admin.xrange("out")]
    assert list(dict.fromkeys(ids)) == [f"{n}" for n in range(50)]


async def test_a_key_of_another_kind_is_a_failure(store, client, server):
    client.set("out", "text")
    async with transporting(store, UNSPOOL_EVENT_SINK_STREAM=f"{server}?stream=out"):
        await store.publish(TENANT, [event(1)])
        [failing] = await eventually(store.sinks, lambda sinks: sinks[0].failures)
        assert "WRONGTYPE" in failing.failure
        client.delete("out")
        await eventually(store.sinks, lambda sinks: not sinks[0].lag)
    assert client.xlen("out") == 1


@pytest.mark.parametrize("store_url", ["redis"], indirect=True)
async def test_a_name_is_a_stream_on_the_redis_of_the_store(store, store_url):
    streams = {"UNSPOOL_EVENT_SINK_STREAM": "out", "UNSPOOL_EVENTS_STREAM": "in"}
    async with transporting(store, url=store_url, **streams):
        with redis.Redis.from_url(store_url) as client:
            client.xadd("in", {"type": "paid"})
            await published(store, 1)
            await eventually(store.sinks, lambda sinks: sinks[0].sent == 1)
            [(_, fields)] = client.xrange("out")
    assert json.loads(fields[b"event"])["source"] == "/streams/in"


# In


async def test_entries_are_published(store, client, server):
    client.xadd("in", {"event": json.dumps(event("before", data=[1.5, None]))})
    async with transporting(store, UNSPOOL_EVENTS_STREAM=f"{server}?stream=in"):
        await published(store, 1)
        id_ = client.xadd("in", {"type": "sent", "data": '{"order": 7}', "subject": "x"}).decode()
        client.xadd("in", {"event": json.dumps(event("last"))})
        events = await published(store, 3)
        await eventually(store.sources, lambda sources: sources[0].published == 3)

    assert events == [
        event("before", data=[1.5, None]),
        {
            "specversion": "1.0", "id": f"in:{id_}", "source": "/streams/in", "type": "sent",
            "subject": "x", "data": {"order": 7},
        },
        event("last"),
    ]  # fmt: skip
    assert client.xlen("in") == 3  # the stream stays as it is
    assert client.xpending("in", "unspool")["pending"] == 0
    assert client.xinfo_consumers("in", "unspool") == []


async def test_streams_can_belong_to_tenants(store, client, server):
    streams = f"{server}?stream=one&tenant=acme {server}?stream=two&tenant=corp&group=mine"
    async with transporting(store, UNSPOOL_EVENTS_STREAM=streams):
        client.xadd("one", {"type": "a"})
        client.xadd("two", {"type": "b"})
        assert [each["type"] for each in await published(store, 1, "acme")] == ["a"]
        assert [each["type"] for each in await published(store, 1, "corp")] == ["b"]
    assert client.xinfo_groups("two")[0]["name"] == b"mine"


async def test_processes_share_a_stream(store, store_url, client, server):
    second = await open_store(store_url, {})
    stream = {"UNSPOOL_EVENTS_STREAM": f"{server}?stream=in"}
    async with transporting(store, "t1", **stream), transporting(second, "t2", **stream):
        for n in range(600):
            client.xadd("in", {"event": json.dumps(event(n))})
            if n % 50 == 0:
                await asyncio.sleep(0.01)
        events = await published(store, 600)
    await second.close()
    assert sorted(int(each["id"]) for each in events) == list(range(600))


async def test_entries_that_are_not_events_are_left_out(store, client, server, caplog):
    bad = [
        {"event": "{"},
        {"event": "[1]"},
        {"event": json.dumps({"id": "1", "source": "/s"})},
        {"event": json.dumps(event(1, time="yesterday"))},
        {"event": b"\xff"},
        {"no": "type"},
        {"type": "t", "data": "{", "datacontenttype": "application/json"},
        {"type": "t", "Upper": "case"},
        {"type": b"\xff"},
        {"event": "[" * 1_000 + "]" * 1_000},
        {"type": "t", "data": "x" * (MAX_BYTES + 1)},
    ]
    async with transporting(store, UNSPOOL_EVENTS_STREAM=f"{server}?stream=in"):
        ids = [client.xadd("in", fields).decode() for fields in bad]
        client.xadd("in", {"type": "good"})
        assert [each["type"] for each in await published(store, 1)] == ["good"]
        [source] = await eventually(store.sources, lambda sources: sources and sources[0].published)

    assert (source.name, source.published, source.refused) == ("in", 1, len(bad))
    logged = [each for each in caplog.records if getattr(each, "action", "") == "stream_entry_refused"]
    assert [each.entry for each in logged] == ids
    assert client.xlen("in") == len(bad) + 1
    assert client.xpending("in", "unspool")["pending"] == 0


async def test_entries_of_a_process_that_died_are_published_once(store, client, server):
    """It died before it published some entries, and before it acknowledged others that it had published."""
    for n in range(5):
        client.xadd("in", {"type": "t", "data": f"{n}"})
    client.xgroup_create("in", "unspool", "0")
    entries = client.xreadgroup("unspool", "dead", {"in": ">"}, count=4)[0][1]
    await store.publish(TENANT, [event_of("in", id_.decode(), fields) for id_, fields in entries[:2]])
    client.xdel("in", entries[3][0])  # its owner deletes one before it is published

    address = stream_address("X", f"{server}?stream=in", "")
    own = connected_to("X", address)
    source = StreamSource(store, own, address, "t1", lease=0.05)
    async with served(source):
        events = await published(store, 4)
        await eventually(store.sources, lambda sources: sources and sources[0].refused == 1)
    await own.aclose()

    assert sorted(each["data"] for each in events) == [0, 1, 2, 4]
    assert client.xpending("in", "unspool")["pending"] == 0


async def test_an_entry_is_acknowledged_after_its_event_is_published(own_redis, client, server):
    """The store does not answer when the event of an entry is published."""
    proxy = RedisProxy(own_redis.port)
    await proxy.start()
    proxy.hold_back(scripts.PUBLISH.sha.encode())
    store = await open_store(proxy.url, {})
    address = stream_address("X", f"{server}?stream=in", "")
    async with connected_to("X", address) as own:
        reading = asyncio.create_task(StreamSource(store, own, address, "t1", lease=60).run())
        client.xadd("in", {"type": "t"})
        async with asyncio.timeout(60):
            await proxy.holds.wait()
        pending = client.xpending("in", "unspool")["pending"]
        await cancel([reading])
    await store.close()
    await proxy.stop()
    assert pending == 1, "it was acknowledged before"


async def test_a_restart_of_redis_loses_nothing(store, own_redis):
    async with transporting(store, UNSPOOL_EVENTS_STREAM=f"{own_redis.url}?stream=in"):
        with own_redis.admin as admin:
            for n in range(200):
                admin.xadd("in", {"event": json.dumps(event(n))})
        await published(store, 1)
        own_redis.kill()
        await eventually(store.sources, lambda sources: sources[0].failing_since is not None)
        own_redis.start()
        with own_redis.admin as admin:
            for n in range(200, 300):
                admin.xadd("in", {"event": json.dumps(event(n))})
        events = await published(store, 300)
        await eventually(store.sources, lambda sources: sources[0].failing_since is None)
    assert [each["id"] for each in events] == [f"{n}" for n in range(300)]


async def test_a_stream_that_is_deleted_is_read_again(store, client, server):
    async with transporting(store, UNSPOOL_EVENTS_STREAM=f"{server}?stream=in"):
        client.xadd("in", {"type": "first"})
        await published(store, 1)
        client.delete("in")
        client.xadd("in", {"type": "second"})
        assert [each["type"] for each in await published(store, 2)] == ["first", "second"]


async def test_events_wait_while_the_store_is_away(own_redis, client, server):
    store = await open_store(own_redis.url, {})
    async with transporting(store, UNSPOOL_EVENTS_STREAM=f"{server}?stream=in"):
        client.xadd("in", {"type": "first"})
        await published(store, 1)
        own_redis.kill()
        for _ in range(10):
            client.xadd("in", {"type": "later"})
        own_redis.start()
        assert len(await published(store, 11)) == 11
    await store.close()


async def test_an_event_from_a_stream_reaches_the_other_sink_once(store, client, server):
    streams = {
        "UNSPOOL_EVENTS_STREAM": f"{server}?stream=in",
        "UNSPOOL_EVENT_SINK_STREAM": f"{server}?stream=out",
    }
    async with transporting(store, **streams):
        for _ in range(3):
            client.xadd("in", {"event": json.dumps(event(1)), "tenant": "ignored"})
        client.xadd("in", {"event": json.dumps(event(2))})
        await eventually(store.sinks, lambda sinks: sinks[0].sent == 2)
    assert [json.loads(fields[b"event"])["id"] for _, fields in client.xrange("out")] == ["1", "2"]


# Entries


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"type": "t"}, {}),
        ({"type": "t", "data": "7"}, {"data": 7}),
        ({"type": "t", "data": "hello {"}, {"data": "hello {", "datacontenttype": "text/plain"}),
        ({"type": "t", "data": "7", "datacontenttype": "text/plain"},
         {"data": "7", "datacontenttype": "text/plain"}),
        ({"type": "t", "data": b"\xff", "datacontenttype": "image/png"},
         {"data_base64": "/w==", "datacontenttype": "image/png"}),
        ({"type": "t", "data_base64": "AAE="}, {"data_base64": "AAE="}),
        ({"ce_type": "t", "ce_id": "1", "data": ""}, {"id": "1"}),
        ({"type": "t", "data": '""', "subject": ""}, {"data": ""}),
        ({"event": '{"type": "t", "data": "", "subject": ""}'}, {"data": ""}),
        ({"ce-type": "t", "ce-source": "/s"}, {"source": "/s"}),
        ({"cloudEvents:type": "t", "ce:subject": "s"}, {"subject": "s"}),
        ({"type": "t", "id": "", "source": ""}, {}),
        ({"event": '{"type": "t"}'}, {}),
        ({"event": '{"type": "t", "id": "1", "data": null}', "type": "other"}, {"id": "1"}),
    ],
)  # fmt: skip
def test_an_entry_becomes_an_event(fields, expected):
    encoded = {
        name.encode(): value if isinstance(value, bytes) else value.encode() for name, value in fields.items()
    }
    derived = {"specversion": "1.0", "id": "orders:7-0", "source": "/streams/orders", "type": "t"}
    assert event_of("orders", "7-0", encoded) == derived | expected


def test_an_entry_that_is_not_an_event_says_why():
    with pytest.raises(NoEvent, match="'type' is missing"):
        event_of("orders", "7-0", {b"a": b"b"})
    with pytest.raises(NoEvent, match="UTF-8"):
        event_of("orders", "7-0", {b"type": b"t", b"data": b"\xff"})


# Settings


@pytest.mark.parametrize(
    ("text", "server", "key", "group", "tenant"),
    [
        ("redis://h:1/2?stream=s", "redis://h:1/2", "s", "unspool", "default"),
        ("rediss://u:p@h?stream=a%20b&group=g&tenant=t&ssl_cert_reqs=none",
         "rediss://u:p@h?ssl_cert_reqs=none", "a b", "g", "t"),
        ("orders", "redis://store/0", "orders", "unspool", "default"),
    ],
)  # fmt: skip
def test_addresses(text, server, key, group, tenant):
    assert stream_address("X", text, "redis://store/0") == (server, key, group, tenant)


@pytest.mark.parametrize(
    "text",
    [
        "redis://h/0", "redis://h/0?stream=", "redis://h/x?stream=s", "http://h?stream=s", "redis:///0?stream=s",
        "redis://h/0?stream=s&tenant=a}b", "redis://h/0?stream=unspool:x", "unspool:{default:0}:inbox",
        "redis://h:x/0?stream=s", "redis://h/0?stream=s&group=", "redis://h/0?stream=s&unknown=1",
    ],
)  # fmt: skip
async def test_a_text_that_is_not_an_address_is_refused(store, text):
    for variable in ("UNSPOOL_EVENTS_STREAM", "UNSPOOL_EVENT_SINK_STREAM"):
        with pytest.raises(BadSetting, match=variable):
            async with opened_transports(store, "redis://store/0", {variable: text}, "t1"):
                pass


async def test_a_name_needs_a_store_on_redis(store):
    with pytest.raises(BadSetting, match="write redis://HOST:PORT/DB\\?stream=NAME"):
        async with opened_transports(store, "sqlite:///x.db", {"UNSPOOL_EVENTS_STREAM": "in"}, "t1"):
            pass


@pytest.mark.parametrize("written", ["redis://h:6379/0?stream=s", "redis://h?stream=s&protocol=2", "s"])
async def test_a_stream_cannot_be_source_and_sink(store, written):
    streams = {"UNSPOOL_EVENTS_STREAM": "redis://h/0?stream=s", "UNSPOOL_EVENT_SINK_STREAM": written}
    with pytest.raises(BadSetting, match="same stream"):
        async with opened_transports(store, "redis://h/0", streams, "t1"):
            pass
