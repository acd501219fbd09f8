"""Conditions of listeners that take long: they delay no answer for as long."""

import asyncio

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
