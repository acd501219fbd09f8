"""Executions of the order example under random faults: each ends as it does without faults.

Every fourth order is a sub-workflow of another execution.
"""

import asyncio
import sys
import time
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from tests.chaos.harness import TENANT, completed
from tests.chaos.ledger import Arrivals, serving
from tests.chaos.oracle import check_execution

from unspool.definitions.compile import compile_plan
from unspool.definitions.document import load
from unspool.definitions.expressions import JqPool
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import (
    Definition,
    ExecutionFilter,
    ExecutionKey,
    Start,
    WorkflowRef,
)
from unspool.eventstore.retry import retry_until_available

EXAMPLES = Path(__file__).parents[2] / "examples"
REF = WorkflowRef("examples", "order-fulfilment", "1.0.0")
ORDER_TEXT = (EXAMPLES / "order-fulfilment.yaml").read_text()

PARENT_REF = WorkflowRef("chaos", "ordering", "1.0.0")
PARENT_TEXT = """
document: { dsl: '1.0.3', namespace: chaos, name: ordering, version: '1.0.0' }
do:
- order:
    run: { workflow: { namespace: examples, name: order-fulfilment, version: latest } }
"""
ORDERS_PER_PARENT = 4
"""Of so many orders one has a parent."""

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
        ref = REF if number % ORDERS_PER_PARENT else PARENT_REF
        start = Start(key, ref, order(number, address), time.time_ns() // 1_000_000)
        await retry_until_available(partial(store.start, start))
        await asyncio.sleep(SECONDS_OF_STARTS / count)
    return keys


@dataclass
class Orders:
    """The ended executions of orders, and what their service got."""

    store: EventStore
    arrivals: Arrivals
    jq: JqPool

    async def check(self, number: int, key: ExecutionKey) -> set[str]:
        """Checks an order, and its parent if it has one; returns the idempotency keys of its tasks."""
        tracking = {"order": f"O-{number}", "tracking": f"TRACK-O-{number}", "status": "shipped"}
        if number % ORDERS_PER_PARENT == 0:
            key = await self._check_parent(key, tracking)
        plan = compile_plan(load(ORDER_TEXT).value, self.jq)
        history = await check_execution(self.store, key, plan, self.arrivals.first(), "workflow.completed")
        assert history[-1].data["output"] == tracking
        runs = {f"{key.id}/{event.run}" for event in history if event.type == "task.requested"}
        return runs | {f"{key.id}/payment"}

    async def _check_parent(self, key: ExecutionKey, output: dict[str, str]) -> ExecutionKey:
        """Checks the parent of an order; returns the key of the order."""
        plan = compile_plan(load(PARENT_TEXT).value, self.jq)
        history = await check_execution(self.store, key, plan, self.arrivals.first(), "workflow.completed")
        assert history[-1].data["output"] == output
        [child] = [event.data["child"] for event in history if event.type == "child.started"]
        return ExecutionKey(TENANT, child)


async def number_of_orders(store: EventStore) -> int:
    """How many executions of the order example there are: none is doubled, none is without a parent."""
    wanted, count, cursor = ExecutionFilter(workflow=(REF.namespace, REF.name)), 0, None
    while True:
        page = await store.executions(TENANT, wanted, limit=500, cursor=cursor)
        count, cursor = count + len(page.items), page.cursor
        if cursor is None:
            return count


@pytest.mark.chaos
@pytest.mark.timeout(1500)
async def test_orders_survive_faults(
    store, fleet, random_faults, inspection, executions, seconds, shop, patient_jq
):
    shop, app = shop
    arrivals = Arrivals()
    await store.put_definition(TENANT, Definition(REF, ORDER_TEXT, 0))
    await store.put_definition(TENANT, Definition(PARENT_REF, PARENT_TEXT, 0))
    await fleet.start(*SERVICES)
    async with serving(app, arrivals) as address, random_faults.happening():
        keys = await start_all(store, executions, address)
        deadline = time.monotonic() + seconds
        await asyncio.gather(*(completed(store, key, deadline) for key in keys))
    assert fleet.died() == [], fleet.logs()
    ended = Orders(store, arrivals, patient_jq)
    requested = {run for number, key in enumerate(keys) for run in await ended.check(number, key)}
    # I5: nothing was done that no history asked for, and nothing took effect twice.
    assert set(arrivals.first()) <= requested
    assert await number_of_orders(store) == executions
    orders = Counter(payment["order"] for payment in shop.payments.values())
    assert orders == Counter(f"O-{number}" for number in range(executions))
    assert len(shop.reservations) == len(shop.shipments) == executions
    assert len(shop.messages) == 2 * executions
    await nothing_left(inspection)
    await fleet.stop()
    assert inspection.leftovers() == {}


async def nothing_left(inspection) -> None:
    """Messages that were delivered again may be acknowledged after the last execution ends."""
    deadline = time.monotonic() + 25
    while left := await asyncio.to_thread(inspection.leftovers):
        assert time.monotonic() < deadline, left
        await asyncio.sleep(0.1)
