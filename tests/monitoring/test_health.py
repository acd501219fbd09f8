"""`live` and `ready` tell the truth."""

import asyncio
import json
import re

import pytest

from unspool.eventstore.errors import StoreUnavailable
from unspool.eventstore.monitoring.health import HEARTBEAT, ServiceHealth
from unspool.eventstore.monitoring.monitor import NO_ANSWER, Monitor
from unspool.eventstore.monitoring.settings import MonitoringSettings
from unspool.eventstore.opening import open_store
from unspool.eventstore.records import ExecutionKey, Start, WorkflowRef


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
async def store(store_url):
    opened = await open_store(store_url, {})
    yield opened
    await opened.close()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def health(clock):
    health = ServiceHealth("worker", monotonic=clock)
    health.turned(HEARTBEAT)
    return health


def monitor(store, health, lag=None, **settings):
    found = Monitor(store, MonitoringSettings(**settings))
    found.add(health, lag)
    return found


async def test_a_service_whose_loops_run_is_live_and_ready(store, health):
    found = monitor(store, health)
    assert await found.not_live() == []
    assert await found.not_ready() == []


async def test_a_loop_that_crashes_makes_it_not_live(store, health):
    async def crash():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await health.watch("receive", crash)
    found = monitor(store, health)
    [problem] = await found.not_live()
    assert problem == "worker: the loop 'receive' has ended with ZeroDivisionError"
    assert await found.not_ready() == [problem]


async def test_a_loop_that_ends_makes_it_not_live(store, health):
    async def end():
        pass

    await health.watch("receive", end)
    assert await monitor(store, health).not_live() == ["worker: the loop 'receive' has ended"]


async def test_a_loop_that_works_again_is_live_again(store, health):
    health.failed("receive", OSError())
    found = monitor(store, health)
    assert len(await found.not_live()) == 1
    health.turned("receive")
    assert await found.not_live() == []


async def test_a_loop_that_stands_still_makes_it_not_live(store, health, clock):
    clock.now += 61
    health.turned("receive")
    [problem] = await monitor(store, health).not_live()
    assert problem == "worker: the loop 'heartbeat' does not go round"


async def test_a_loop_that_may_take_long_does_not_stand_still(store, health, clock):
    health.turned("receive", within=float("inf"))
    clock.now += 3600
    health.turned(HEARTBEAT)
    assert await monitor(store, health).not_live() == []


async def test_an_unavailable_store_makes_it_not_ready_but_leaves_it_live(store, health, clock):
    clock.now += 3600
    health.turned(HEARTBEAT)
    found = monitor(store, health)
    await store.close()
    assert await found.not_ready() == [NO_ANSWER]
    clock.now += 61  # no loop goes round without the store
    assert await found.not_live() == []


async def test_a_store_that_hangs_makes_it_not_ready(store, health, monkeypatch):
    async def hang():
        await asyncio.sleep(3600)

    found = monitor(store, health)
    monkeypatch.setattr(store, "ping", hang)
    async with asyncio.timeout(60):
        assert await found.not_ready() == [NO_ANSWER]


async def test_a_service_without_heartbeats_is_not_ready(store, clock):
    health = ServiceHealth("worker", monotonic=clock)
    found = monitor(store, health)
    assert await found.not_ready() == ["worker: no heartbeat"]
    health.turned(HEARTBEAT)
    assert await found.not_ready() == []
    clock.now += 11
    assert await found.not_ready() == ["worker: no heartbeat"]
    assert await found.not_live() == []


async def test_work_that_waits_too_long_makes_it_not_ready(store, health):
    key = ExecutionKey("default", "one")
    await store.start(Start(key, WorkflowRef("shop", "order", "1.0.0"), {}, 0))
    await asyncio.sleep(0.6)

    def lag(status):
        return status.age(status.backlog.inbox)

    [problem] = await monitor(store, health, lag, ready_lag_seconds=0.5).not_ready()
    assert re.fullmatch(r"worker: work has waited for [1-9]\d* s, more than 0\.5", problem)
    assert await monitor(store, health, lag, ready_lag_seconds=600).not_ready() == []
    assert await monitor(store, health, lag, ready_lag_seconds=0).not_ready() == []


async def test_a_process_that_starts_or_stops_is_not_ready(store, health):
    found = monitor(store, health)
    found.begun = False
    assert await found.not_ready() == ["the services have not begun"]
    found.begun, found.stopping = True, True
    assert await found.not_ready() == ["the services stop"]
    assert await found.not_live() == []


async def test_a_status_that_cannot_be_read_is_not_an_old_one(store, monkeypatch):
    found = Monitor(store, MonitoringSettings())
    assert (await found.status.read()).up
    found.status._next_at = 0.0

    async def fail():
        raise StoreUnavailable("away")

    monkeypatch.setattr(store, "now", fail)
    assert not (await found.status.read()).up


async def test_a_service_is_not_ready_while_redis_is_away(monitored, own_redis):
    async with monitored("worker", own_redis.url) as running:
        await until(running, 200)
        own_redis.kill()
        text = await until(running, 503)
        assert json.loads(text) == {"status": "not ready", "problems": [NO_ANSWER]}
        assert (await running.get("/health/live"))[0] == 200
        own_redis.start()
        await until(running, 200)


async def until(running, wanted):
    """Waits until the service is ready, or is not."""
    async with asyncio.timeout(90):
        while True:
            status, text = await running.get("/health/ready")
            if status == wanted:
                return text
            await asyncio.sleep(0.1)
