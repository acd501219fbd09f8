"""Executions of the order example under random faults: each ends as it does without faults."""

import asyncio
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from tests.chaos.harness import TENANT, completed
from tests.chaos.ledger import Arrivals, serving
from tests.chaos.oracle import check_execution
from tests.chaos.random_faults import RandomFaults

from unspool.definitions.compile import compile_plan
from unspool.definitions.document import load
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import Definition, ExecutionKey, Start, WorkflowRef
from unspool.eventstore.retry import retry_until_available

EXAMPLES = Path(__file__).parents[2] / "examples"
REF = WorkflowRef("examples", "order-fulfilment", "1.0.0")
SECONDS_OF_STARTS = 12
"""So that executions are in flight during all faults."""

SERVICES = ("worker-0", "worker-1", "worker-2", "executor-0", "executor-1", "timer-0", "timer-1")


@pytest.fixture
def shop():
    """The shop and its application."""
    sys.path.insert(0, str(EXAMPLES))
    try:
        from sample_service import Shop, create_app
    finally:
        sys.path.remove(str(EXAMPLES))
    shop = Shop(seed=7, outage=0.2, stock={"lamp": 10**6})
    return shop, create_app(shop)


def order(number: int, address: str) -> dict[str, object]:
    return {"service": address, "order": f"O-{number}", "sku": "lamp", "quantity": 1, "amount": 9.5}


async def start_all(store: EventStore, count: int, address: str) -> list[ExecutionKey]:
    keys = [ExecutionKey(TENANT, f"order-{number}") for number in range(count)]
    for number, key in enumerate(keys):
        start = Start(key, REF, order(number, address), time.time_ns() // 1_000_000)
        await retry_until_available(partial(store.start, start))
        await asyncio.sleep(SECONDS_OF_STARTS / count)
    return keys


@pytest.mark.chaos
@pytest.mark.timeout(1500)
async def test_orders_survive_faults(store, fleet, server, inspection, executions, seconds, shop, patient_jq):
    shop, app = shop
    arrivals = Arrivals()
    text = (EXAMPLES / "order-fulfilment.yaml").read_text()
    await store.put_definition(TENANT, Definition(REF, text, 0))
    await fleet.start(*SERVICES)
    async with serving(app, arrivals) as address, RandomFaults(fleet, server, 7).happening():
        keys = await start_all(store, executions, address)
        deadline = time.monotonic() + seconds
        await asyncio.gather(*(completed(store, key, deadline) for key in keys))
    assert fleet.died() == [], fleet.logs()
    plan = compile_plan(load(text).value, patient_jq)
    requested: set[str] = set()
    for number, key in enumerate(keys):
        history = await check_execution(store, key, plan, arrivals.first(), "workflow.completed")
        tracking = {"order": f"O-{number}", "tracking": f"TRACK-O-{number}", "status": "shipped"}
        assert history[-1].data["output"] == tracking
        requested |= {f"{key.id}/{event.run}" for event in history if event.type == "task.requested"}
        requested.add(f"{key.id}/payment")
    # I5: nothing was done that no history asked for, and nothing took effect twice.
    assert set(arrivals.first()) <= requested
    orders = Counter(payment["order"] for payment in shop.payments.values())
    assert orders == Counter(f"O-{number}" for number in range(executions))
    assert len(shop.reservations) == len(shop.shipments) == executions
    assert len(shop.messages) == 2 * executions
    await nothing_left(inspection)
    await fleet.all_up()
    await fleet.stop()
    assert inspection.leftovers() == {}


async def nothing_left(inspection) -> None:
    """Messages that were delivered again may be acknowledged after the last execution ends."""
    deadline = time.monotonic() + 25
    while left := await asyncio.to_thread(inspection.leftovers):
        assert time.monotonic() < deadline, left
        await asyncio.sleep(0.1)
