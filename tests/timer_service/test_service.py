"""The timer service on every store: each timer fires once, never early, at most slightly late."""

import asyncio
import time
from statistics import median

import pytest

from unspool.eventstore.errors import StoreUnavailable
from unspool.eventstore.records import Timer
from unspool.timer_service import TimerService, TimerSettings

LATENESS_LIMIT = 50
"""Milliseconds (DESIGN §7)."""

WOKEN_LIMIT = 10_000
"""Milliseconds; a service that was not woken is later than this, and one on a busy machine is not."""

LONG_SLEEP = TimerSettings(longest_sleep_seconds=30.0)
"""A service that checks timers only when it is woken or a known timer is due."""


async def test_a_timer_fires_when_it_is_due(store, timers, running):
    """Some rounds, of which one has to be in time: in the others, the machine may be busy."""
    async with running(TimerService(store, LONG_SLEEP)):
        for round_ in range(8):
            now = await store.now()
            for n in range(8):
                await timers.set(f"nap-{round_}-{n}", Timer("0/wait", now + 300 + 40 * n))
            lateness = await timers.fired()
            timers.due.clear()
            assert min(lateness.values()) >= 0
            if median(lateness.values()) <= LATENESS_LIMIT:
                return
    pytest.fail(f"the timers of the last round were late by {lateness}")


async def test_timers_that_were_due_before_the_service_ran_fire_at_once(store, timers, service, running):
    now = await store.now()
    await timers.set("nap", Timer("past", now - 60_000), Timer("now", now))
    async with running(service):
        lateness = await timers.fired()
    assert lateness.keys() == {("nap", "past"), ("nap", "now")}


async def test_an_earlier_timer_wakes_a_sleeping_service(store, timers, running):
    async with running(TimerService(store, LONG_SLEEP)):
        now = await store.now()
        await timers.set("long", Timer("0/wait", now + 3_600_000))
        await asyncio.sleep(0.1)  # the service now sleeps for the long one
        await timers.set("short", Timer("0/wait", await store.now() + 100))
        del timers.due["long", "0/wait"]
        lateness = await timers.fired()
    assert 0 <= lateness["short", "0/wait"] <= WOKEN_LIMIT


async def test_a_timer_set_by_another_process_wakes_a_sleeping_service(store, another_store, timers, running):
    async with running(TimerService(another_store, LONG_SLEEP)):
        await asyncio.sleep(0.1)
        await timers.set("short", Timer("0/wait", await store.now() + 100))
        lateness = await timers.fired()
    assert 0 <= lateness["short", "0/wait"] <= WOKEN_LIMIT


async def test_a_cancelled_timer_does_not_fire(store, timers, service, running):
    now = await store.now()
    await timers.set("nap", Timer("kept", now + 3_100), Timer("cancelled", now + 3_000))
    async with running(service):
        await timers.set("nap", cancel=("cancelled",))
        assert (await timers.fired()).keys() == {("nap", "kept")}


async def test_two_thousand_timers_due_within_a_second(store, another_store, timers, running):
    now = await store.now()
    for n in range(20):
        await timers.set(f"nap-{n}", *(Timer(str(i), now + 2_000 + 10 * i + n // 2) for i in range(100)))
    async with running(TimerService(store, LONG_SLEEP), TimerService(another_store, LONG_SLEEP)):
        lateness = await timers.fired()
    assert len(lateness) == 2_000
    assert min(lateness.values()) >= 0
    assert median(lateness.values()) <= WOKEN_LIMIT


async def test_many_timers_due_at_once_are_shared_by_two_services(store, another_store, timers, running):
    due = await store.now() + 500
    for n in range(10):
        await timers.set(f"nap-{n}", *(Timer(str(i), due) for i in range(50)))
    async with running(TimerService(store, LONG_SLEEP), TimerService(another_store, LONG_SLEEP)):
        lateness = await timers.fired()
    assert len(lateness) == 500
    assert min(lateness.values()) >= 0


async def test_a_service_fires_timers_that_a_stopped_service_left(store, another_store, timers, running):
    now = await store.now()
    await timers.set("nap", Timer("one", now), Timer("two", now + 600))
    async with running(TimerService(store, LONG_SLEEP)):
        pass
    async with running(TimerService(another_store, LONG_SLEEP)):
        assert (await timers.fired()).keys() == {("nap", "one"), ("nap", "two")}


async def test_a_sleeping_service_stops_at_once(store, running):
    service = TimerService(store, LONG_SLEEP)
    async with running(service):
        await asyncio.sleep(0.1)


async def test_a_service_stopped_before_it_runs_does_nothing(store):
    service = TimerService(store, LONG_SLEEP)
    service.stop()
    async with asyncio.timeout(20):
        await service.run()


async def test_the_service_waits_for_an_unavailable_store(store, another_store, caplog):
    await another_store.close()
    service = TimerService(another_store, LONG_SLEEP)
    task = asyncio.create_task(service.run())
    deadline = time.monotonic() + 60
    while "store unavailable" not in caplog.text:
        assert time.monotonic() < deadline, "it never noticed"
        await asyncio.sleep(0.01)
    assert not task.done()
    service.stop()
    await asyncio.wait_for(task, 20)
    with pytest.raises(StoreUnavailable):
        await another_store.ping()
