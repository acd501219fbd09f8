"""A rolling update of every service under load: nothing is lost or done twice, no call of a client fails."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.chaos.inspection import RedisInspection
from tests.chaos.ledger import Ledger
from tests.chaos.ticking import Ticking
from tests.conftest import RedisServer
from tests.deployment.parcels import Parcels
from tests.deployment.rolling_update import Balancer, Rollout

from unspool.client import AsyncClient
from unspool.definitions.expressions import JqPool
from unspool.eventstore.opening import open_store

SETTINGS = {
    "UNSPOOL_EVENT_RETENTION": "3600",  # the event of a parcel is published before its execution listens
    "UNSPOOL_SCHEDULE_MISSED": "all",
}


@pytest.fixture
async def rollout(own_redis: RedisServer, tmp_path: Path) -> AsyncIterator[Rollout]:
    """No service runs yet."""
    rollout = Rollout(own_redis.url, tmp_path, Balancer(), SETTINGS)
    yield rollout
    await rollout.end()


@pytest.mark.timeout(900)
async def test_it_loses_nothing(rollout: Rollout, own_redis: RedisServer, jq: JqPool) -> None:
    services, ledger = ("worker", "executor", "timer", "api"), Ledger()
    store = await open_store(own_redis.url, {})
    await asyncio.gather(*(rollout.scale(name, 2) for name in services))
    async with (
        rollout.balancer.listening() as api,
        ledger.running() as shop,
        AsyncClient(api, attempts=12) as client,
    ):
        parcels, ticking, updated = Parcels(client, ledger, shop), Ticking(store, 500), asyncio.Event()
        await parcels.deploy()
        await ticking.deploy()
        async with asyncio.TaskGroup() as group:
            group.create_task(parcels.keep_starting(updated, pause=0.2))
            stops = await asyncio.gather(*(rollout.update(name) for name in services))
            updated.set()
        assert len(parcels.started) > 8  # some met each replacement
        await parcels.completed(seconds=240)
        parcels.check_effects()
        await ticking.pause()
        assert [letter async for letter in client.dead_letters()] == []
    await rollout.stop()
    assert len(stops) == len(services)
    await parcels.check_histories(store, jq)
    assert await ticking.check(jq) > 4
    assert parcels.repeated_calls <= len(parcels.started) // 10
    assert RedisInspection(own_redis).leftovers() == {}
    await store.close()
