"""Published events are sent to sinks in order, at least once. A sink that is away delays nothing else."""

import asyncio
import contextlib
import functools
import hashlib
import hmac
import json
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from tests.background import served
from tests.ports import free_port

from unspool.eventstore.opening import open_store
from unspool.eventstore.port import EventStore
from unspool.eventstore.retry import retry_until_available
from unspool.eventstore.settings import BadSetting
from unspool.executor.transports.opening import opened_transports
from unspool.executor.transports.service import TransportService
from unspool.executor.transports.settings import TransportSettings
from unspool.executor.transports.sink import Unreachable

TENANT = "default"


def event(id_: Any, **attributes: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "id": f"{id_}", "source": "/shop", "type": "paid", **attributes}


@dataclass
class Receiver:
    """A real HTTP server that keeps the events that it accepts."""

    accepts: Callable[[str, list[Any]], int] = lambda tenant, events: 202
    """Returns the status of the response."""
    headers: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[Any, bytes]] = field(default_factory=list)
    accepted: dict[str, list[str]] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    _runner: web.ServerRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/events?key=1"

    async def start(self) -> None:
        self._runner = web.ServerRunner(web.Server(self._handle), shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def got(self, count: int, tenant: str = TENANT) -> list[str]:
        """Waits for so many events of a tenant; returns the ids of all."""
        async with asyncio.timeout(60):
            while len(self.accepted.get(tenant, ())) < count:
                await asyncio.sleep(0.01)
        return self.accepted[tenant]

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        body = await request.read()
        self.requests.append((request.headers, body))
        decoded = json.loads(body)
        events = decoded if isinstance(decoded, list) else [decoded]
        tenant = request.headers["X-Tenant"]
        status = self.accepts(tenant, events)
        if 200 <= status < 300:
            self.accepted.setdefault(tenant, []).extend(each["id"] for each in events)
        return web.Response(status=status, headers=self.headers)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    await receiver.start()
    yield receiver
    await receiver.stop()


@contextlib.asynccontextmanager
async def sending(
    store: EventStore, receiver: Receiver, name: str = "s1", **environment: str
) -> AsyncIterator[TransportService]:
    settings = {"UNSPOOL_EVENT_SINK_URL": receiver.url, "UNSPOOL_EVENT_SINK_LONGEST_PAUSE": "0.05"}
    transports = opened_transports(store, "sqlite://", settings | environment, name)
    async with transports as service, served(service):
        await registered(store, service)
        yield service


async def registered(store: EventStore, service: TransportService) -> None:
    async with asyncio.timeout(60):
        while not await store.sinks():
            await asyncio.sleep(0.01)


async def publish(store: EventStore, ids: Sequence[Any], tenant: str = TENANT) -> None:
    await store.publish(tenant, [event(id_) for id_ in ids])


async def status(store: EventStore, holds: Callable[[Any], bool]) -> Any:
    """Waits until the status of the sink fulfils a condition; returns it."""
    async with asyncio.timeout(60):
        while True:
            [found] = await store.sinks()
            if holds(found):
                return found
            await asyncio.sleep(0.02)


async def test_each_event_is_one_request_in_structured_mode(store, receiver):
    async with sending(store, receiver):
        first = event(1, data={"a": [1, None]}, subject="x")
        await store.publish(TENANT, [first, event(2, data_base64="AAE=")])
        assert await receiver.got(2) == ["1", "2"]

    headers, body = receiver.requests[0]
    assert json.loads(body) == first
    assert headers["Content-Type"] == "application/cloudevents+json; charset=utf-8"
    assert headers["X-Tenant"] == TENANT
    assert "Authorization" not in headers
    assert "webhook-signature" not in headers


async def test_the_trace_context_of_an_event_is_a_header(store, receiver):
    context = f"00-{'a' * 32}-{'b' * 16}-01"
    async with sending(store, receiver):
        await store.publish(TENANT, [event(1, traceparent=context), event(2, data='"traceparent"')])
        await receiver.got(2)
    assert [headers.get("traceparent") for headers, _ in receiver.requests] == [context, None]


async def test_many_events_arrive_in_order_for_each_tenant(store, receiver):
    async with sending(store, receiver):
        for first in range(0, 300, 50):
            for tenant in ("a", "b", "c"):
                await publish(store, range(first, first + 50), tenant)
        for tenant in ("a", "b", "c"):
            assert await receiver.got(300, tenant) == [f"{n}" for n in range(300)]
        assert (await status(store, lambda each: not each.lag)).sent == 900


async def test_several_events_are_one_request_in_batch_mode(store, receiver):
    async with sending(store, receiver, UNSPOOL_EVENT_SINK_BATCH="30"):
        await publish(store, range(70))
        assert await receiver.got(70) == [f"{n}" for n in range(70)]
        await store.publish(TENANT, [event(f"big{n}", data="x" * 400_000) for n in range(4)])
        await receiver.got(74)

    sizes = [len(json.loads(body)) for _, body in receiver.requests]
    assert max(sizes) <= 30
    assert len(sizes) < 20
    assert sizes[-1] <= 2  # at most a MiB
    content_type = receiver.requests[0][0]["Content-Type"]
    assert content_type == "application/cloudevents-batch+json; charset=utf-8"


async def test_a_sink_that_was_away_gets_everything_in_order(store, receiver):
    async with sending(store, receiver):
        await publish(store, [0])
        await receiver.got(1)
        await receiver.stop()
        await publish(store, range(1, 200))
        failing = await status(store, lambda each: each.failing_since is not None)
        assert failing.lag == 199
        assert failing.failure.startswith("cannot be reached: ")
        assert failing.failures > 0
        await receiver.start()
        assert await receiver.got(200) == [f"{n}" for n in range(200)]
        assert (await status(store, lambda each: not each.lag)).failing_since is None


@pytest.mark.parametrize("answer", [500, 503, 429, 404, 401, 301, 408])
async def test_an_event_is_sent_again_until_it_is_accepted(store, receiver, answer):
    answers = iter([answer] * 8)
    receiver.accepts = lambda tenant, events: next(answers, 200)
    async with sending(store, receiver, UNSPOOL_EVENT_SINK_ATTEMPTS="2"):
        await publish(store, range(3))
        assert await receiver.got(3) == ["0", "1", "2"]
        found = await status(store, lambda each: not each.lag)
    assert (found.sent, found.refused, found.failures) == (3, 0, 8)
    assert len(receiver.requests) == 11


async def test_the_sender_waits_as_long_as_the_sink_asks(store, receiver):
    answers = iter([503])
    receiver.accepts = lambda tenant, events: next(answers, 200)
    receiver.headers = {"Retry-After": "1"}
    async with sending(store, receiver):
        began = asyncio.get_running_loop().time()
        await publish(store, [1])
        await receiver.got(1)
        assert asyncio.get_running_loop().time() - began > 0.9


async def test_a_sink_that_does_not_answer_fails_after_a_time(store, receiver):
    hanging = asyncio.Event()

    async def hang(request: web.BaseRequest) -> web.Response:
        await hanging.wait()
        return web.Response()

    receiver._handle = hang  # type: ignore[method-assign]
    await receiver.stop()
    await receiver.start()
    async with sending(store, receiver, UNSPOOL_EVENT_SINK_SECONDS="0.1"):
        await publish(store, [1])
        failing = await status(store, lambda each: each.failures > 1)
        hanging.set()
        assert failing.failure == "no answer within 0.1 s"
        await status(store, lambda each: each.sent == 1)


@pytest.mark.parametrize("batch", ["1", "10"])
async def test_an_event_that_is_refused_again_and_again_is_left_out(store, receiver, caplog, batch):
    refuses = {"3", "7"}
    receiver.accepts = lambda tenant, events: 422 if refuses & {each["id"] for each in events} else 200
    async with sending(store, receiver, UNSPOOL_EVENT_SINK_ATTEMPTS="3", UNSPOOL_EVENT_SINK_BATCH=batch):
        await publish(store, range(20))
        assert await receiver.got(18) == [f"{n}" for n in range(20) if f"{n}" not in refuses]
        found = await status(store, lambda each: not each.lag)

    assert (found.sent, found.refused, found.failing_since) == (18, 2, None)
    logged = [record for record in caplog.records if getattr(record, "action", "") == "event_refused"]
    assert [(each.event_id, each.event_source, each.tenant) for each in logged] == [
        ("3", "/shop", TENANT),
        ("7", "/shop", TENANT),
    ]
    alone = [json.loads(body) for _, body in receiver.requests]
    assert len([each for each in alone if each in ([event(3)], event(3))]) == 3


async def test_an_event_that_cannot_be_sent_delays_no_other_tenant(store, receiver):
    receiver.accepts = lambda tenant, events: 500 if tenant == "bad" else 200
    async with sending(store, receiver, UNSPOOL_EVENT_SINK_LONGEST_PAUSE="60"):
        await publish(store, range(5), "bad")
        await status(store, lambda each: each.failing_since is not None)
        await publish(store, range(500), "good")
        assert len(await receiver.got(500, "good")) == 500
        assert (await status(store, lambda each: each.lag == 5)).failing_since is not None


async def test_a_dead_sink_delays_neither_another_sink_nor_matching(store, receiver):
    class DeadSink:
        name = "dead"
        batch = 10

        async def send(self, tenant: str, events: Sequence[bytes]) -> None:
            raise Unreachable("is dead")

    class LiveSink:
        name = "live"
        batch = 10

        def __init__(self) -> None:
            self.events: list[str] = []

        async def send(self, tenant: str, events: Sequence[bytes]) -> None:
            self.events += [json.loads(each)["id"] for each in events]

    dead, live = DeadSink(), LiveSink()
    service = TransportService(store, [dead, live], TransportSettings(sink_longest_pause=0.01), "s1")
    running = asyncio.create_task(service.run())
    async with asyncio.timeout(60):
        while len(await store.sinks()) < 2:
            await asyncio.sleep(0.01)
        await publish(store, range(300))
        while len(live.events) < 300:
            await asyncio.sleep(0.01)
        while not (found := {each.name: each for each in await store.sinks()})["dead"].failure:
            await asyncio.sleep(0.01)
    assert (found["dead"].lag, found["dead"].failure) == (300, "is dead")
    service.stop()
    await running
    assert live.events == [f"{n}" for n in range(300)]


async def test_a_bug_of_a_sink_is_a_failure_of_this_sink(store, caplog):
    class Broken:
        name = "broken"
        batch = 1

        async def send(self, tenant: str, events: Sequence[bytes]) -> None:
            raise KeyError("bug")

    service = TransportService(store, [Broken()], TransportSettings(), "s1")
    running = asyncio.create_task(service.run())
    await registered(store, service)
    await publish(store, [1])
    assert (await status(store, lambda each: each.failures)).failure == "unexpected KeyError"
    assert not running.done()
    service.stop()
    await running


# Several processes


async def test_a_sender_that_stops_hands_over(store, store_url, receiver):
    second = await open_store(store_url, {})
    async with sending(store, receiver, "s1"):
        await publish(store, range(50))
        await receiver.got(20)
    async with sending(second, receiver, "s2"):
        await publish(store, range(50, 100))
        assert await receiver.got(100) == [f"{n}" for n in range(100)]
    await second.close()


async def test_after_a_kill_another_sender_repeats_at_most_a_part_and_loses_nothing(
    store, store_url, receiver
):
    """The first sender is cut off between a request and the record of its progress."""
    second = await open_store(store_url, {})
    async with opened_transports(
        store, "sqlite://", {"UNSPOOL_EVENT_SINK_URL": receiver.url}, "s1"
    ) as service:
        running = asyncio.create_task(service.run())
        await registered(store, service)
        await publish(store, range(300))
        await receiver.got(30)
        running.cancel()  # without deregistration, as after SIGKILL
        await asyncio.gather(running, return_exceptions=True)
    async with sending(second, receiver, "s2"):
        await status(second, lambda each: not each.lag)
    await second.close()

    got = [int(id_) for id_ in receiver.accepted[TENANT]]
    assert sorted({*got}) == list(range(300))
    assert len(got) <= 300 + 100
    repeats = [place for place in range(1, len(got)) if got[place] != got[place - 1] + 1]
    assert len(repeats) <= 1  # in order, but for one return


async def test_two_senders_share_the_tenants(store, store_url, receiver):
    second = await open_store(store_url, {})
    async with sending(store, receiver, "s1"), sending(second, receiver, "s2"):
        for first in range(0, 100, 20):
            for tenant in ("a", "b", "c", "d"):
                await publish(store, range(first, first + 20), tenant)
        for tenant in ("a", "b", "c", "d"):
            assert await receiver.got(100, tenant) == [f"{n}" for n in range(100)]
    await second.close()


# Credentials and settings


async def test_requests_have_a_token_and_a_signature(store, receiver):
    key = b"0123456789abcdef"
    environment = {
        "UNSPOOL_EVENT_SINK_TOKEN": "sink-token",
        "UNSPOOL_EVENT_SINK_SIGNING_SECRET": "signing",
        "UNSPOOL_SECRET_SINK_TOKEN": "t0ken",
        "UNSPOOL_SECRET_SIGNING": "whsec_" + b64encode(key).decode(),
    }
    answers = iter([503])
    receiver.accepts = lambda tenant, events: next(answers, 200)
    async with sending(store, receiver, **environment):
        await publish(store, [1])
        await receiver.got(1)

    (headers, body), (again, _) = receiver.requests
    assert headers["Authorization"] == "Bearer t0ken"
    assert headers["webhook-id"] == again["webhook-id"]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    version, _, signature = headers["webhook-signature"].partition(",")
    assert version == "v1"
    assert b64decode(signature) == hmac.digest(key, signed, hashlib.sha256)


async def test_events_wait_while_a_secret_is_missing(store, receiver, tmp_path):
    environment = {"UNSPOOL_EVENT_SINK_TOKEN": "token", "UNSPOOL_SECRETS_DIR": str(tmp_path)}
    async with sending(store, receiver, **environment):
        await publish(store, [1])
        assert "token" in (await status(store, lambda each: each.failures)).failure
        assert not receiver.requests
        (tmp_path / "token").write_text("t0ken\n")
        await receiver.got(1)


@pytest.mark.parametrize(
    "url",
    ["ftp://host/x", "host", "http://", "/events", "http://[", "http://[::1]@", "http://xn--", "redis://h/0"],
)
async def test_an_invalid_address_is_refused(store, url):
    with pytest.raises(BadSetting, match="UNSPOOL_EVENT_SINK_URL"):
        async with opened_transports(store, "sqlite://", {"UNSPOOL_EVENT_SINK_URL": url}, "s1"):
            pass


async def test_without_sinks_the_service_only_waits(store):
    async with opened_transports(store, "sqlite://", {}, "s1") as service:
        running = asyncio.create_task(service.run())
        await publish(store, [1])
        assert await store.sinks() == []
        service.stop()
        await running


async def test_large_events_are_sent_in_order(store, receiver):
    async with sending(store, receiver, UNSPOOL_EVENT_SINK_BATCH="100"):
        for first in range(0, 60, 20):
            await store.publish(TENANT, [event(n, data="x" * 300_000) for n in range(first, first + 20)])
        await publish(store, range(60, 300))
        assert await receiver.got(300) == [f"{n}" for n in range(300)]


async def test_a_restart_of_the_store_loses_no_event(own_redis, receiver):
    store = await open_store(own_redis.url, {})
    async with sending(store, receiver):
        await publish(store, range(200))
        await receiver.got(20)
        own_redis.kill()
        own_redis.start()
        more = functools.partial(publish, store, range(200, 300))
        await retry_until_available(more)
        async with asyncio.timeout(60):
            while f"{299}" not in receiver.accepted[TENANT]:
                await asyncio.sleep(0.02)
    await store.close()
    assert list(dict.fromkeys(receiver.accepted[TENANT])) == [f"{n}" for n in range(300)]
