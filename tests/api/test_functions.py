"""The functions of executors over HTTP."""

import asyncio

from tests.background import repeating

from unspool.eventstore.consumers import Consumer
from unspool.eventstore.functions import RegisteredFunction


async def alive(store):
    """Two executors that live."""
    while True:
        for name in ("x1", "x2"):
            await store.heartbeat(Consumer("executors", name, frozenset({"functions:shop"})))
        await asyncio.sleep(0.2)


async def test_registered_functions_are_listed_with_their_executors(api, store):
    assert await api.get("/functions") == {"items": []}
    await store.register_functions(
        [
            RegisteredFunction("charge", "1.2.0", "functions:shop", {"type": "object"}, {"type": "integer"}),
            RegisteredFunction("embed", "1.0.0", "gpu"),
        ]
    )
    async with repeating(alive(store)), asyncio.timeout(60):
        while (items := (await api.get("/functions"))["items"])[0]["executors"] < 2:
            await asyncio.sleep(0.05)

    charge, embed = items
    assert charge.pop("registeredAt").endswith("Z")
    assert charge == {
        "name": "charge",
        "version": "1.2.0",
        "queue": "functions:shop",
        "executors": 2,
        "input": {"type": "object"},
        "output": {"type": "integer"},
    }
    assert (embed["executors"], embed["input"], embed["output"]) == (0, None, None)
