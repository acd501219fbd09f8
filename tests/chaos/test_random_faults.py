"""Executions under random faults: each ends as it does without faults.

Orders of the example; every fourth is a sub-workflow of another execution. Executions that talk with events.
Executions that use what is outside: texts, processes, functions, services, a stream and a broker. A schedule.
"""

import asyncio
import sys
import time
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from tests.chaos.conftest import FAULTS
from tests.chaos.conversations import Conversations
from tests.chaos.harness import TENANT, completed
from tests.chaos.ledger import Arrivals, serving
from tests.chaos.oracle import check_execution
from tests.chaos.outside import Outside
from tests.chaos.ticking import Ticking, executions_of

from unspool.definitions.compile import compile_plan
from unspool.definitions.document import load
from unspool.definitions.expressions import JqPool
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import Definition, ExecutionKey, Start, WorkflowRef
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
"""One of so many orders has a parent."""

SECONDS_OF_STARTS = 12
"""So that executions are in flight during all faults."""

ORDERS_PER_CONVERSATION = 6
"""One group of executions that send events to each other, for so many orders."""

ORDERS_PER_GROUP_OUTSIDE = 10
"""One group of executions that use what is outside, for so many orders."""

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


@dataclass
class Orders:
    """The executions of orders, and the requests to their service."""

    store: EventStore
    count: int
    arrivals: Arrivals

    async def deploy(self) -> None:
        """Deploys the orders and their parents."""
        await self.store.put_definition(TENANT, Definition(REF, ORDER_TEXT, 0))
        await self.store.put_definition(TENANT, Definition(PARENT_REF, PARENT_TEXT, 0))

    async def start(self, address: str) -> None:
        """Starts all, over some seconds."""
        for number, key in enumerate(self.keys):
            ref = REF if number % ORDERS_PER_PARENT else PARENT_REF
            start = Start(key, ref, order(number, address), time.time_ns() // 1_000_000)
            await retry_until_available(partial(self.store.start, start))
            await asyncio.sleep(SECONDS_OF_STARTS / self.count)

    @property
    def keys(self) -> list[ExecutionKey]:
        """The executions that were started: orders and parents."""
        return [ExecutionKey(TENANT, f"order-{number}") for number in range(self.count)]

    async def completed(self, deadline: float) -> None:
        """Waits until all have completed."""
        await asyncio.gather(*(completed(self.store, key, deadline) for key in self.keys))

    async def check(self, jq: JqPool) -> None:
        """Checks the histories and outputs. Nothing was done that no history asked for."""
        order_plan, parent_plan = (compile_plan(load(text).value, jq) for text in (ORDER_TEXT, PARENT_TEXT))
        requested: set[str] = set()
        for number, started in enumerate(self.keys):
            key = started
            tracking = {"order": f"O-{number}", "tracking": f"TRACK-O-{number}", "status": "shipped"}
            if number % ORDERS_PER_PARENT == 0:
                history = await check_execution(
                    self.store, key, parent_plan, self.arrivals.first(), "workflow.completed"
                )
                assert history[-1].data["output"] == tracking
                [child] = [event.data["child"] for event in history if event.type == "child.started"]
                key = ExecutionKey(TENANT, child)
            history = await check_execution(
                self.store, key, order_plan, self.arrivals.first(), "workflow.completed"
            )
            assert history[-1].data["output"] == tracking
            requested |= {f"{key.id}/{event.run}" for event in history if event.type == "task.requested"}
            requested.add(f"{key.id}/payment")
        assert set(self.arrivals.first()) <= requested
        # None is doubled, none is without a parent.
        assert len(await executions_of(self.store, REF)) == self.count


def order(number: int, address: str) -> dict[str, object]:
    return {"service": address, "order": f"O-{number}", "sku": "lamp", "quantity": 1, "amount": 9.5}


@dataclass
class AllExecutions:
    """Everything that runs while faults happen."""

    orders: Orders
    conversations: Conversations
    outside: Outside
    ticking: Ticking

    async def run(self, address: str, seconds: float) -> None:
        """Starts all, and waits until all have completed: so many seconds after the last start."""
        await self.ticking.deploy()
        await asyncio.gather(
            self.orders.start(address),
            self.conversations.run(SECONDS_OF_STARTS),
            self.outside.run(SECONDS_OF_STARTS),
        )
        deadline = time.monotonic() + seconds
        await asyncio.gather(
            self.orders.completed(deadline),
            self.conversations.completed(deadline),
            self.outside.completed(deadline),
            self.ticking.pause(),
        )

    async def check(self, jq: JqPool) -> None:
        """Checks all histories, outputs and effects."""
        await self.orders.check(jq)
        await self.conversations.check(jq)
        await self.outside.check(jq)
        await self.ticking.check(jq)


@pytest.fixture
def all_executions(store, random_faults, executions, seconds, stand_ins, stream):
    """They do not run yet."""
    chance = random_faults.chance
    talking, outside = (
        -(-executions // each) for each in (ORDERS_PER_CONVERSATION, ORDERS_PER_GROUP_OUTSIDE)
    )
    return AllExecutions(
        Orders(store, executions, Arrivals()),
        Conversations(store, talking, chance, seconds),
        Outside(store, stand_ins, stream, outside, chance, seconds),
        Ticking(store, 250),
    )


@pytest.mark.chaos
@pytest.mark.timeout(1500)
async def test_executions_survive_faults(
    all_executions, fleet, random_faults, inspection, seconds, shop, jq_for_verification, record_property
):
    shop, app = shop
    orders = all_executions.orders
    await orders.deploy()
    await fleet.start(*SERVICES)
    async with serving(app, orders.arrivals) as address, random_faults.happening():
        await all_executions.run(address, seconds)
    record_property(FAULTS, dict(fleet.faults))
    assert fleet.died() == [], fleet.logs()
    await all_executions.check(jq_for_verification)
    check_shop(shop, orders.count)
    await all_executions.outside.stream_is_read()
    await nothing_left(inspection)
    await fleet.stop()
    assert inspection.leftovers() == {}


def check_shop(shop, executions: int) -> None:
    """Each effect happened once."""
    paid = Counter(payment["order"] for payment in shop.payments.values())
    assert paid == Counter(f"O-{number}" for number in range(executions))
    assert len(shop.reservations) == len(shop.shipments) == executions
    assert len(shop.messages) == 2 * executions


async def nothing_left(inspection) -> None:
    """Messages that were delivered again may be acknowledged after the last execution ends."""
    deadline = time.monotonic() + 60
    while left := await asyncio.to_thread(inspection.leftovers):
        assert time.monotonic() < deadline, left
        await asyncio.sleep(0.1)
