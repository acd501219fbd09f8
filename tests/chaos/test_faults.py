"""Executions of the order example under faults: killed, paused and slow services, restarts of Redis, cut
connections. Each execution ends as it does without faults."""

import asyncio
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from unspool.definitions.compile import compile_plan
from unspool.definitions.document import load
from unspool.definitions.expressions import JqPool
from unspool.eventstore.events import Event
from unspool.eventstore.opening import open_store
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import Definition, ExecutionKey, Start, Status, WorkflowRef
from unspool.eventstore.retry import retry_until_available
from unspool.worker.replay import verify

EXAMPLES = Path(__file__).parents[2] / "examples"
REF = WorkflowRef("examples", "order-fulfilment", "1.0.0")
TENANT = "default"
SECONDS_OF_STARTS = 15
"""So that executions are in flight during all faults."""

ENDS = {"task.completed", "task.faulted", "task.cancelled"}


@pytest.fixture
def running_shop():
    sys.path.insert(0, str(EXAMPLES))
    try:
        from sample_service import Shop, running_shop
    finally:
        sys.path.remove(str(EXAMPLES))
    return running_shop, Shop(seed=7, outage=0.2, stock={"lamp": 10**6})


@pytest.fixture(params=["sqlite", "redis"])
def server(request):
    """The Redis server of the run; None for SQLite."""
    return request.getfixturevalue("own_redis") if request.param == "redis" else None


@pytest.fixture
def url(server, tmp_path) -> str:
    return server.url if server is not None else f"sqlite:///{tmp_path}/store.sqlite3"


def order(number: int, address: str) -> dict[str, object]:
    return {"service": address, "order": f"O-{number}", "sku": "lamp", "quantity": 1, "amount": 9.5}


async def start_all(store: EventStore, count: int, address: str) -> list[ExecutionKey]:
    keys = [ExecutionKey(TENANT, f"order-{number}") for number in range(count)]
    for number, key in enumerate(keys):
        start = Start(key, REF, order(number, address), time.time_ns() // 1_000_000)
        await retry_until_available(partial(store.start, start))
        await asyncio.sleep(SECONDS_OF_STARTS / count)
    return keys


async def ended(store: EventStore, key: ExecutionKey, deadline: float) -> None:
    version = 0
    while time.monotonic() < deadline:
        record = await retry_until_available(partial(store.execution, key))
        assert record is not None, "an acknowledged start was lost"
        if record.status.ended:
            assert record.status is Status.COMPLETED, await store.last_event(key)
            return
        version = record.version
        await retry_until_available(partial(store.wait_for_version, key, version, 1.0))
    pytest.fail(f"{key.id} hangs: {(await store.history(key))[-3:]}; {await store.dead_letters(TENANT)}")


def check_history(history: list[Event]) -> None:
    """fault-matrix I2, I3: no hole, no repeat; every run ends once, every timer fires at most once."""
    assert [event.seq for event in history] == list(range(1, len(history) + 1))
    ends = Counter(event.run for event in history if event.type in ENDS)
    assert set(ends.values()) == {1}
    fired = Counter(event.data["timer"] for event in history if event.type == "timer.fired")
    assert set(fired.values()) <= {1}
    assert [event.type for event in history if event.type.startswith("workflow.")] == [
        "workflow.started",
        "workflow.completed",
    ]
    due = {e.data["timer"]: e.data["dueAt"] for e in history if e.type == "timer.scheduled"}
    assert all(event.time >= due[event.data["timer"]] for event in history if event.type == "timer.fired")


@pytest.mark.chaos
@pytest.mark.timeout(1500)
async def test_orders_survive_faults(url, server, fleet, faults, executions, seconds, running_shop):
    shop_of, shop = running_shop
    text = (EXAMPLES / "order-fulfilment.yaml").read_text()
    store = await open_store(url, {})
    jq = JqPool()
    try:
        await store.put_definition(TENANT, Definition(REF, text, 0))
        running = fleet(url)
        for role, count in (("worker", 3), ("executor", 2), ("timer", 2)):
            running.start(role, count)
        async with shop_of(shop) as address, faults(running, server, 7).happening():
            keys = await start_all(store, executions, address)
            deadline = time.monotonic() + seconds
            await asyncio.gather(*(ended(store, key, deadline) for key in keys))
        assert running.died() == [], running.logs()
        plan = compile_plan(load(text).value, jq)
        asked: set[str] = set()
        for number, key in enumerate(keys):
            history = await store.history(key)
            check_history(history)
            assert verify(plan, key.id, history) is None
            tracking = {"order": f"O-{number}", "tracking": f"TRACK-O-{number}", "status": "shipped"}
            assert history[-1].data["output"] == tracking
            asked |= {f"{key.id}/{event.run}" for event in history if event.type == "task.requested"}
            asked.add(f"{key.id}/payment")
        # I5: nothing was done that no history asked for, and nothing took effect twice.
        assert {call.key for call in shop.calls} <= asked
        orders = Counter(payment["order"] for payment in shop.payments.values())
        assert orders == Counter(f"O-{number}" for number in range(executions))
        assert len(shop.reservations) == len(shop.shipments) == executions
        assert len(shop.messages) == 2 * executions
        assert (await store.dead_letters(TENANT)).items == ()
        assert (await store.fire_due_timers()).next_due_at is None
        assert running.stop() == [0] * 7
    finally:
        jq.close()
        await store.close()
