"""Timers: each fires once, never early, by the store's clock (fault matrix I7, F4)."""

import asyncio
import time

import pytest

from unspool.eventstore.records import MessageKind
from unspool.eventstore.results import Fired

HOUR = 3_600_000


@pytest.fixture(params=[1, 20], autouse=True)
async def tenants(request, store, make, hands) -> None:
    """With many tenants a store may read in another way."""
    for number in range(1, request.param):
        await store.start(make.start(make.key("first", f"tenant-{number}")))
    if request.param > 1:
        await store.acknowledge(await hands.messages(store, request.param - 1))


async def test_a_due_timer_becomes_a_message(store, make, hands):
    key = await hands.started(store, make.key("one", "ours"))
    due_at = await store.now()
    await store.commit(make.commit(key, timers=(make.timer("t1", due_at),)))

    assert await store.fire_due_timers() == Fired(1, None)

    [delivery] = await hands.messages(store)
    assert (delivery.key, delivery.body.kind) == (key, MessageKind.TIMER_FIRED)
    assert delivery.body.body == {"timer": "t1"}
    assert await store.fire_due_timers() == Fired(0, None)
    assert await hands.nothing_waits(store)


async def test_no_timer_fires_early(store, make, hands):
    key = await hands.started(store)
    soon, later = await store.now() + 200, await store.now() + HOUR
    await store.commit(make.commit(key, timers=(make.timer("later", later), make.timer("soon", soon))))

    async with asyncio.timeout(60):
        while (fired := await store.fire_due_timers()).count == 0:
            assert fired == Fired(0, soon)

    assert await store.now() >= soon
    assert fired == Fired(1, later)
    assert (await hands.messages(store))[0].body.body == {"timer": "soon"}


async def test_a_cancelled_timer_does_not_fire(store, make, hands):
    key = await hands.started(store)
    await store.commit(make.commit(key, timers=(make.timer("t1", 1), make.timer("t2", HOUR))))

    await store.commit(make.commit(key, after=1, timers_cancelled=("t1", "t2")))

    assert await store.fire_due_timers() == Fired(0, None)
    assert await hands.nothing_waits(store)


async def test_many_timers_fire_in_bounded_portions(store, make, hands):
    key = await hands.started(store)
    await store.commit(make.commit(key, timers=tuple(make.timer(f"t{i}", 1 + i) for i in range(25))))

    assert await store.fire_due_timers(10) == Fired(10, 11)
    assert await store.fire_due_timers(10) == Fired(10, 21)
    assert await store.fire_due_timers(10) == Fired(5, None)

    fired = await hands.messages(store, 25)
    assert [delivery.body.body["timer"] for delivery in fired] == [f"t{i}" for i in range(25)]


async def test_services_at_once_fire_each_timer_once(store, other, make, hands):
    keys = [make.key(f"e{i}") for i in range(6)]
    for key in keys:
        await hands.started(store, key)
        timers = tuple(make.timer(f"t{i}", 1) for i in range(20))
        await store.commit(make.commit(key, timers=timers))

    async def fire(service) -> int:
        fired = 0
        while (last := await service.fire_due_timers(7)).next_due_at is not None:
            fired += last.count
        return fired + last.count

    counts = await asyncio.gather(*(fire(service) for service in (store, other, store)))

    assert sum(counts) == 120
    messages = await hands.messages(store, 120)
    assert len({(d.key, d.body.body["timer"]) for d in messages}) == 120


async def test_waiting_ends_when_an_earlier_timer_is_set(store, make, hands):
    key = await hands.started(store)
    now = await store.now()
    await store.commit(make.commit(key, timers=(make.timer("t1", now + HOUR),)))
    assert (await store.fire_due_timers()).next_due_at == now + HOUR
    waiting = asyncio.ensure_future(store.wait_for_timers(60))

    await store.commit(make.commit(key, after=1, timers=(make.timer("t2", now + 2 * HOUR),)))
    await asyncio.wait([waiting], timeout=0.1)
    assert not waiting.done()
    await store.commit(make.commit(key, after=2, timers=(make.timer("t3", now + HOUR // 2),)))

    async with asyncio.timeout(25):
        await waiting
    assert (await store.fire_due_timers()).next_due_at == now + HOUR // 2


async def test_waiting_ends_when_another_process_sets_a_timer(store, other, make, hands):
    key = await hands.started(store)
    assert (await store.fire_due_timers()).next_due_at is None
    waiting = asyncio.ensure_future(store.wait_for_timers(60))
    await asyncio.wait([waiting], timeout=0.05)

    await other.commit(make.commit(key, timers=(make.timer("t1", HOUR),)))

    async with asyncio.timeout(25):
        await waiting
    assert (await store.fire_due_timers()).count == 1


async def test_a_timer_set_before_the_wait_is_not_missed(store, make, hands):
    key = await hands.started(store)
    await store.fire_due_timers()
    due_at = await store.now() + HOUR

    await store.commit(make.commit(key, timers=(make.timer("t1", due_at),)))

    async with asyncio.timeout(25):
        await store.wait_for_timers(60)
    assert (await store.fire_due_timers()).next_due_at == due_at


async def test_waiting_ends_with_its_time(store):
    await store.fire_due_timers()
    begun = time.monotonic()

    await store.wait_for_timers(0.2)

    assert 0.15 < time.monotonic() - begun < 60


async def test_the_stores_clock_is_about_right(store):
    before = time.time() * 1000
    now = await store.now()
    assert before - 1_000 <= now <= time.time() * 1000 + 1_000
