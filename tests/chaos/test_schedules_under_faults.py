"""Schedules whose workers and timer services are killed at random moments; Redis restarts, too.

Each occurrence is one execution with the derived id (inventory C1), and each set of events is one (C8).
"""

import asyncio
import random
import time
from functools import partial

import pytest
from tests.chaos.fleet import Fleet
from tests.chaos.harness import BOUND, TENANT, completed
from tests.chaos.inspection import Inspection
from tests.chaos.ticking import Ticking, executions_of
from tests.conftest import RedisServer

from unspool.definitions.compile import compile_plan
from unspool.definitions.document import load
from unspool.eventstore.built_in import schedule_key
from unspool.eventstore.port import EventStore
from unspool.eventstore.published_events import CloudEvent
from unspool.eventstore.records import Definition, Message, MessageKind, WorkflowRef
from unspool.eventstore.results import Stored
from unspool.eventstore.retry import retry_until_available
from unspool.worker.replay import verify
from unspool.worker.schedule.deployment import deploy
from unspool.worker.schedule.operations import wait_until_begun, wait_until_paused

SERVICES = ("worker-0", "worker-1", "timer-0", "timer-1")
KILLS = 2
"""How often each service is killed."""


async def faults(fleet: Fleet, server: RedisServer | None, chance: random.Random) -> None:
    """Kills each service twice, in a random order, and Redis once in between."""
    names: list[str | None] = [*SERVICES * KILLS]
    if server is not None:
        names.append(None)
    for name in chance.sample(names, len(names)):
        await asyncio.sleep(chance.uniform(0.1, 0.6))
        if name is not None:
            await fleet.kill_and_start(name, chance.uniform(0, 0.5))
        elif server is not None:
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
        fleet.supervise()


async def until_nothing_is_left(inspection: Inspection) -> None:
    deadline = time.monotonic() + BOUND
    while left := await asyncio.to_thread(inspection.leftovers):
        assert time.monotonic() < deadline, left
        await asyncio.sleep(0.1)


@pytest.mark.chaos
@pytest.mark.timeout(480)
async def test_each_occurrence_is_one_execution(store, fleet, server, inspection, jq_for_verification, seed):
    await fleet.start(*SERVICES)
    ticking = Ticking(store, 50)
    await ticking.deploy()
    await faults(fleet, server, random.Random(seed))
    await fleet.all_up()
    await ticking.pause()
    count = await ticking.check(jq_for_verification)
    assert count >= len(SERVICES) * KILLS
    await until_nothing_is_left(inspection)
    assert fleet.died() == [], fleet.logs()
    await fleet.stop()
    assert inspection.leftovers() == {}


EVENTS = WorkflowRef("chaos", "pairs", "1.0.0")
EVENTS_TEXT = """
document: { dsl: '1.0.3', namespace: chaos, name: pairs, version: '1.0.0' }
schedule:
  read: envelope
  on:
    all:
    - { with: { type: a }, correlate: { order: { from: .data } } }
    - { with: { type: b }, correlate: { order: { from: .data } } }
do:
- note: { set: { ids: '${ map(.id) | sort }' } }
"""
ORDERS = 100


async def publish(store: EventStore, chance: random.Random) -> None:
    """Publishes two events for each order, each event twice."""
    for number in range(ORDERS):
        events: list[CloudEvent] = [
            {
                "specversion": "1.0",
                "id": f"{type_}{number}",
                "source": "/chaos",
                "type": type_,
                "data": number,
            }
            for type_ in chance.sample("ab", 2)
        ]
        for each in (*events, *events):
            await retry_until_available(partial(store.publish, TENANT, [each]))
        await asyncio.sleep(chance.uniform(0, 0.04))


@pytest.mark.chaos
@pytest.mark.timeout(480)
async def test_each_set_of_events_starts_one_execution(
    store, fleet, server, inspection, jq_for_verification, seed
):
    """Half-complete sets, starts and acknowledgements survive every fault (inventory C4, C8)."""
    await fleet.start(*SERVICES)
    definition = Definition(EVENTS, EVENTS_TEXT, 0)
    assert await deploy(store, TENANT, definition, time.time_ns() // 1_000_000) is Stored.CREATED
    await wait_until_begun(store, TENANT, EVENTS)
    publishing = asyncio.create_task(publish(store, random.Random(seed + 1)))
    await faults(fleet, server, random.Random(seed))
    await publishing
    await fleet.all_up()
    deadline = time.monotonic() + BOUND
    while len(records := await retry_until_available(partial(executions_of, store, EVENTS))) < ORDERS:
        assert time.monotonic() < deadline, len(records)
        await asyncio.sleep(0.1)
    await asyncio.gather(*(completed(store, record.key, deadline) for record in records))
    plan = compile_plan(load(EVENTS_TEXT).value, jq_for_verification)
    found = []
    for record in records:
        history = await store.history(record.key)
        assert verify(plan, record.key.id, history) is None
        found.append(history[-1].data["output"]["ids"])
    assert sorted(found) == sorted([f"a{number}", f"b{number}"] for number in range(ORDERS))
    schedule = schedule_key(TENANT, EVENTS.namespace, EVENTS.name)
    await store.send(TENANT, Message(MessageKind.SUSPEND, schedule.id, {}))
    await wait_until_paused(store, schedule, paused=True)
    await until_nothing_is_left(inspection)
    assert fleet.died() == [], fleet.logs()
    await fleet.stop()
