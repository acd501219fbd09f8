"""Sinks: the store remembers how far each has got on the bus of each tenant, and keeps events for them."""

import asyncio
import time
from collections import Counter

import pytest
from tests.eventstore.conftest import keys_of

from unspool.eventstore.consumers import SENDERS, Consumer
from unspool.eventstore.event_bus import KEPT_EVENTS
from unspool.eventstore.event_settings import EventSettings
from unspool.eventstore.sinks import SinkProgress

SENDER = Consumer(SENDERS, "s1")
SECOND = Consumer(SENDERS, "s2")


def ids(batch):
    return [each.event["id"] for each in batch.events]


async def passed(store, batch, count=None, consumer=SENDER, sink="http", **changes):
    """Records that a sink has passed the first events of a batch."""
    some = batch.events[:count]
    position = some[-1].position if some else batch.after
    progress = SinkProgress(batch.tenant, batch.after, position, len(some), **changes)
    await store.record_progress(consumer, sink, progress)


async def publish(store, make, count, tenant="default", first=0):
    await store.publish(tenant, [make.event(f"e{n}") for n in range(first, first + count)])


async def drained(store, sink="http", limit=100):
    """Returns everything that a sink has not passed, by tenant, and passes it."""
    found: dict[str, list[str]] = {}
    while batch := await store.receive_for_sink(SENDER, sink, limit, 0):
        found.setdefault(batch.tenant, []).extend(ids(batch))
        await passed(store, batch, sink=sink)
    return found


async def status(store, name="http"):
    return {each.name: each for each in await store.sinks()}[name]


async def test_a_sink_gets_what_is_published_after_it_was_registered_in_order(store, make):
    await publish(store, make, 3)
    assert await store.keep_sinks(["http"]) == []
    assert await store.receive_for_sink(SENDER, "http", 10, 0) is None
    await publish(store, make, 25, first=10)
    await publish(store, make, 5, tenant="new")

    found = await drained(store, limit=10)

    assert found == {"default": [f"e{n}" for n in range(10, 35)], "new": [f"e{n}" for n in range(5)]}


async def test_a_registered_sink_keeps_its_place(store, make):
    await store.keep_sinks(["http"])
    await publish(store, make, 10)
    await passed(store, await store.receive_for_sink(SENDER, "http", 100, 0), 4)

    await store.keep_sinks(["http", "other"])

    assert await drained(store) == {"default": [f"e{n}" for n in range(4, 10)]}
    assert await drained(store, "other") == {}


async def test_the_same_events_are_received_until_progress_is_recorded(store, make):
    await store.keep_sinks(["http"])
    await publish(store, make, 3)

    batch = await store.receive_for_sink(SENDER, "http", 100, 0)
    assert await store.receive_for_sink(SENDER, "http", 100, 0) == batch
    await passed(store, batch, 1)
    assert ids(await store.receive_for_sink(SENDER, "http", 100, 0)) == ["e1", "e2"]


async def test_a_late_record_does_not_move_a_sink_back(store, make):
    await store.keep_sinks(["http"])
    await publish(store, make, 10)
    batch = await store.receive_for_sink(SENDER, "http", 100, 0)
    await passed(store, batch, 8)

    await passed(store, batch, 3)
    assert (await status(store)).lag == 2
    await passed(store, batch)

    assert await store.receive_for_sink(SENDER, "http", 100, 0) is None
    assert (await status(store)).lag == 0


async def test_sinks_have_positions_of_their_own(store, make):
    await store.keep_sinks(["http", "stream"])
    await publish(store, make, 10)

    assert await drained(store, "http") == {"default": [f"e{n}" for n in range(10)]}
    assert await drained(store, "stream") == {"default": [f"e{n}" for n in range(10)]}


async def test_a_sender_that_waits_gets_events_at_once(store, make):
    await store.keep_sinks(["http"])

    async def seconds(n: int) -> float:
        waiting = asyncio.create_task(store.receive_for_sink(SENDER, "http", 10, 30))
        await asyncio.wait([waiting], timeout=0.1)
        assert not waiting.done()
        began = time.monotonic()
        await publish(store, make, 1, first=n)
        async with asyncio.timeout(25):
            batch = await waiting
        assert ids(batch) == [f"e{n}"]
        await passed(store, batch)
        return time.monotonic() - began

    assert min([await seconds(n) for n in range(4)]) < 0.9  # it does not only read every second


async def test_tenants_are_served_in_turn_without_those_that_are_skipped(store, make):
    await store.keep_sinks(["http"])
    for tenant in ("a", "b", "c"):
        await publish(store, make, 10, tenant)

    served = []
    while batch := await store.receive_for_sink(SENDER, "http", 5, 0, frozenset({"b"})):
        served.append(batch.tenant)
        await passed(store, batch)

    assert Counter(served) == {"a": 2, "c": 2}
    assert len(set(served[:2])) == 2
    assert (await store.receive_for_sink(SENDER, "http", 5, 0)).tenant == "b"


# Several senders


async def test_only_one_sender_at_a_time_gets_the_events_of_a_tenant(store, other, make):
    await store.keep_sinks(["http", "stream"])
    await publish(store, make, 2)
    await publish(store, make, 1, "second")
    batch = await store.receive_for_sink(SENDER, "http", 1, 0)

    found = await other.receive_for_sink(SECOND, "http", 10, 0)
    assert found.tenant != batch.tenant
    await passed(other, found, consumer=SECOND)
    assert await other.receive_for_sink(SECOND, "http", 10, 0) is None
    assert ids(await other.receive_for_sink(SECOND, "stream", 1, 0)) == ["e0"]
    await passed(store, batch)
    if batch.tenant == "default":
        assert ids(await other.receive_for_sink(SECOND, "http", 10, 5)) == ["e1"]


async def test_after_a_failure_the_sender_keeps_the_events_for_itself(store, other, make):
    await store.keep_sinks(["http"])
    await publish(store, make, 3)
    batch = await store.receive_for_sink(SENDER, "http", 10, 0)

    await passed(store, batch, 1, failure="503")

    assert await other.receive_for_sink(SECOND, "http", 10, 0) is None
    assert ids(await store.receive_for_sink(SENDER, "http", 10, 0)) == ["e1", "e2"]
    await store.deregister(SENDER)
    async with asyncio.timeout(60):
        while not (found := await other.receive_for_sink(SECOND, "http", 10, 0.1)):
            pass
    assert ids(found) == ["e1", "e2"]


async def test_the_events_of_a_sender_that_is_gone_go_to_another(adapter, store, other, make):
    await store.keep_sinks(["http"])
    await publish(store, make, 1)
    await store.receive_for_sink(SENDER, "http", 10, 0)

    async with asyncio.timeout(60):
        while not (batch := await other.receive_for_sink(SECOND, "http", 10, 0)):
            adapter.clock.ahead += 0.4
            await other.heartbeat(SECOND)

    assert ids(batch) == ["e0"]


async def test_rival_senders_lose_nothing_and_count_right(store, other, make):
    """A sender that was paused records its progress after another one has sent a part of the same events."""
    await store.keep_sinks(["http"])
    await publish(store, make, 10)
    batch = await store.receive_for_sink(SENDER, "http", 10, 0)
    await store.deregister(SENDER)
    async with asyncio.timeout(60):
        while not (rival := await other.receive_for_sink(SECOND, "http", 10, 0.1)):
            pass

    await passed(other, rival, 4, consumer=SECOND)
    await passed(store, batch, 7)

    assert (await status(store)).lag == 3
    assert await drained(other) == {"default": ["e7", "e8", "e9"]}


# Status


async def test_the_status_sums_up_all_tenants(store, make):
    began = await store.now()
    await store.keep_sinks(["http", "stream"])
    before = await store.now()
    for tenant in ("a", "b", "c"):
        await publish(store, make, 10, tenant)
    for _ in range(3):
        batch = await store.receive_for_sink(SENDER, "http", 10, 0)
        failure = {"a": "", "b": "503", "c": "timeout"}[batch.tenant]
        await passed(store, batch, 4, refused=0, failure=failure)

    http = await status(store)
    assert [each.name for each in await store.sinks()] == ["http", "stream"]
    assert (http.lag, http.sent, http.refused, http.dropped, http.failures) == (18, 12, 0, 0, 2)
    assert before <= http.failing_since <= await store.now()
    assert http.failure in {"503", "timeout"}
    assert began - 1_000 <= http.kept_at <= await store.now()  # some stores count whole seconds
    assert (await status(store, "stream")).lag == 30
    assert (await status(store, "stream")).failing_since is None


async def test_a_failure_lasts_until_progress_without_one(store, make):
    await store.keep_sinks(["http"])
    await publish(store, make, 3)
    batch = await store.receive_for_sink(SENDER, "http", 10, 0)
    await passed(store, batch, 0, failure="first")
    since = (await status(store)).failing_since
    await asyncio.sleep(0.005)
    await passed(store, batch, 0, failure="second")

    failing = await status(store)
    assert (failing.failing_since, failing.failure, failing.failures) == (since, "second", 2)
    position = batch.events[0].position
    await store.record_progress(SENDER, "http", SinkProgress("default", batch.after, position, 0, 1))

    works = await status(store)
    assert (works.failing_since, works.failure, works.failures) == (None, "", 2)
    assert (works.sent, works.refused, works.lag) == (0, 1, 2)


async def test_without_sinks_there_is_no_status(store, make):
    await publish(store, make, 1)
    assert await store.sinks() == []


# Retention


async def test_a_bus_keeps_events_for_a_sink_that_is_away(store, make, hands):
    await store.keep_sinks(["http"])
    count = KEPT_EVENTS + 700
    await publish(store, make, count)
    await publish(store, make, count, "other")
    await hands.matched(store)
    assert len(await store.published_events("default", limit=5_000)) == count

    assert await drained(store) == {
        tenant: [f"e{n}" for n in range(count)] for tenant in ("default", "other")
    }
    await publish(store, make, 1, first=count)
    await hands.matched(store)
    assert len(await store.published_events("default", limit=5_000)) == KEPT_EVENTS


async def test_a_bus_keeps_at_most_so_many_events_for_sinks(adapter, make, hands, caplog):
    settings = EventSettings(kept_for_sinks=KEPT_EVENTS + 500)
    store = adapter.make(adapter.clock, settings)
    await store.open()
    await store.keep_sinks(["http", "stream"])
    await publish(store, make, 700)
    await hands.matched(store)
    assert await drained(store, "stream") == {"default": [f"e{n}" for n in range(700)]}
    for first in range(700, KEPT_EVENTS + 1_500, 100):
        await publish(store, make, 100, first=first)
        batch = await store.receive_events(make.worker, 100, 0)
        await store.match(batch, keys_of)

    http = await status(store)
    assert http.dropped == 1_000
    assert http.lag == KEPT_EVENTS + 500
    assert (await status(store, "stream")).dropped == 300
    assert await drained(store) == {"default": [f"e{n}" for n in range(1_000, KEPT_EVENTS + 1_500)]}
    assert (await status(store)).lag == 0
    actions = [r for r in caplog.records if getattr(r, "action", None) == "events_dropped"]
    assert sum(record.count for record in actions if record.sink == "http") == 1_000
    await store.close()


async def test_a_sender_that_is_slower_than_the_deletion_still_gets_on(adapter, make, hands):
    """Events are dropped while the sender sends them."""
    store = adapter.make(adapter.clock, EventSettings(kept_for_sinks=KEPT_EVENTS))
    await store.open()
    await store.keep_sinks(["http"])
    await publish(store, make, KEPT_EVENTS)
    batch = await store.receive_for_sink(SENDER, "http", 200, 0)
    await publish(store, make, 100, first=KEPT_EVENTS)
    await hands.matched(store)
    assert (await status(store)).dropped == 100

    await passed(store, batch)

    assert (await status(store)).lag == KEPT_EVENTS + 100 - 200
    assert ids(await store.receive_for_sink(SENDER, "http", 1, 0)) == ["e200"]
    await store.close()


async def test_events_that_are_not_matched_stay(adapter, make, hands):
    store = adapter.make(adapter.clock, EventSettings(kept_for_sinks=1))
    await store.open()
    await store.keep_sinks(["http"])
    await publish(store, make, KEPT_EVENTS + 200)

    assert len(await store.published_events("default", limit=5_000)) == KEPT_EVENTS + 200
    assert len((await drained(store))["default"]) == KEPT_EVENTS + 200
    await hands.matched(store)
    assert len(await store.published_events("default", limit=5_000)) == KEPT_EVENTS
    assert (await status(store)).dropped == 0
    await store.close()


@pytest.mark.parametrize("kept", [[], ["other"]])
async def test_a_sink_that_is_no_longer_configured_is_forgotten(adapter, make, hands, caplog, kept):
    if adapter.name == "memory":
        pytest.skip("a database in memory belongs to one store")
    store = adapter.make(adapter.clock)
    await store.open()
    await store.keep_sinks(["http", *kept])
    await publish(store, make, KEPT_EVENTS + 100)
    assert await store.keep_sinks(kept) == []
    await store.close()
    store = adapter.make(adapter.clock, EventSettings(sink_expiry_hours=0.0))
    await store.open()

    async with asyncio.timeout(60):  # some stores count whole seconds
        while not (forgotten := await store.keep_sinks(kept)):
            await asyncio.sleep(0.05)

    assert forgotten == ["http"]
    assert [each.name for each in await store.sinks()] == kept
    for sink in kept:
        await drained(store, sink)
    await hands.matched(store)
    assert len(await store.published_events("default", limit=5_000)) == KEPT_EVENTS
    assert "sink_forgotten" in {getattr(record, "action", None) for record in caplog.records}
    await store.keep_sinks(["http"])
    assert await store.receive_for_sink(SENDER, "http", 10, 0) is None  # it begins again
    await store.close()
