"""Conditions of listeners that take long: they delay no answer for as long."""

import asyncio
import threading

import pytest
from tests.api.keys import ON, bearer, key_for

from unspool.api.bounded_work import EXPLANATIONS, BoundedWork, TooMuchWork
from unspool.cli.node import Node
from unspool.eventstore.opening import open_store

LISTENERS = 60

SLOW = """\
document: {dsl: '1.0.3', namespace: test, name: slow, version: '1.0.0'}
do:
  - paid:
      listen:
        to:
          one:
            with: {type: paid, source: /bank, data: '${ [limit(2000000; repeat(1))] | length == .x }'}
"""


async def test_near_misses_are_looked_for_in_a_bounded_time(store_url, running_api):
    store = await open_store(store_url, {})
    async with running_api(store) as api:
        await api.deploy(SLOW)
        async with Node(store, store_url, environment={}, services=("worker",)):
            for number in range(LISTENERS):
                await api.post("/workflows/test/slow/executions", 202, json={"id": f"it-{number}"})
            async with asyncio.timeout(60):
                while (await api.get("/counts"))["executions"]["waiting"] < LISTENERS:
                    await asyncio.sleep(0.05)
        event = {"specversion": "1.0", "source": "/bank", "type": "paid", "data": {"x": 1}}
        for number in range(LISTENERS):
            await api.post("/events", 202, json={**event, "id": str(number)})
        [newest] = await store.published_events("default", limit=1)

        shown = await api.get(f"/events/{newest.position}")
        why = await api.get("/executions/it-0/why")

        assert shown["compared"] < LISTENERS
        assert not shown["comparedAll"]
        assert "waits for an event of type paid" in why["sentence"]
        assert (await api.get("/executions?limit=1"))["items"]
    await store.close()


async def test_many_slow_explanations_delay_only_explanations(store_url, running_api):
    store = await open_store(store_url, {})
    own, other = await key_for(store, "admin"), await key_for(store, "admin", tenant="other")
    release = threading.Event()

    async def slow() -> None:
        with EXPLANATIONS.place("default"):
            await EXPLANATIONS.run(release.wait, 60)

    async with running_api(store, authentication=ON) as api, asyncio.TaskGroup() as group:
        await api.deploy(SLOW, headers=bearer(own))
        asked = await api.post("/workflows/test/slow/executions", 202, json={"id": "it"}, headers=bearer(own))
        for _ in range(16):
            group.create_task(slow())
        await asyncio.sleep(0)
        try:
            refused, problem = await api.call("GET", "/executions/it/why", 429, headers=bearer(own))
            assert refused.headers["Retry-After"]
            assert problem["detail"] == "this tenant asks for too many explanations at once; try again"
            assert await api.get("/executions/it", headers=bearer(own)) == asked
            await api.deploy(SLOW.replace("1.0.0", "1.1.0"), headers=bearer(own))
            await api.deploy(SLOW, headers=bearer(other))
            await api.post("/workflows/test/slow/executions", 202, json={"id": "it"}, headers=bearer(other))
            waits = group.create_task(api.get("/executions/it/why", headers=bearer(other)))
        finally:
            release.set()
        assert (await waits)["sentence"]
        assert (await api.get("/executions/it/why", headers=bearer(own)))["sentence"]
    await store.close()


async def test_there_is_a_limit_for_a_tenant_and_for_all() -> None:
    work = BoundedWork("drawings", threads=1, most=2, most_of_tenant=1)
    with work.place("a"), work.place("b"):
        for tenant, of_tenant in (("a", True), ("c", False)):
            with pytest.raises(TooMuchWork, match="drawings") as refused:
                await work.run_for(tenant, int)
            assert refused.value.of_tenant is of_tenant
    assert await work.run_for("a", int, "7") == 7
