"""The functions of executors over HTTP."""

from unspool.eventstore.consumers import Consumer
from unspool.eventstore.functions import RegisteredFunction


async def test_registered_functions_are_listed_with_their_executors(api, store):
    assert await api.get("/functions") == {"items": []}
    await store.register_functions(
        [
            RegisteredFunction("charge", "1.2.0", "functions:shop", {"type": "object"}, {"type": "integer"}),
            RegisteredFunction("embed", "1.0.0", "gpu"),
        ]
    )
    for name in ("x1", "x2"):
        await store.heartbeat(Consumer("executors", name, frozenset({"functions:shop"})))

    charge, embed = (await api.get("/functions"))["items"]
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
