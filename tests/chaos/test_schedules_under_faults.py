"""A schedule of 20 executions a second, whose workers and timer services are killed at random moments.

Redis restarts, too. Each occurrence is one execution with the derived id (inventory C1).
"""

import asyncio
import random
import time

import pytest
from tests.chaos.fleet import Fleet
from tests.chaos.harness import BOUND
from tests.chaos.inspection import Inspection
from tests.chaos.ticking import Ticking
from tests.conftest import RedisServer

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
@pytest.mark.timeout(180)
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
