"""The functions that executors have registered."""

import asyncio

from unspool.eventstore.functions import LIVE_MILLISECONDS, RegisteredFunction

CHARGE = RegisteredFunction("charge", "1.0.0", "functions:shop", {"type": "object"}, {})
LATER = RegisteredFunction("charge", "1.1.0", "functions:shop")
GPU = RegisteredFunction("embed", "1.0.0", "gpu", True, None)


async def test_functions_are_registered_with_their_schemas(store):
    assert await store.functions() == []
    before = await store.now()
    await store.register_functions([GPU, LATER, CHARGE])
    await store.register_functions([])

    found = await store.functions()
    assert [each._replace(registered_at=0) for each in found] == [CHARGE, LATER, GPU]
    now = await store.now()
    assert all(before <= each.registered_at <= now for each in found)


async def test_a_later_registration_replaces_the_schemas_and_the_time(store):
    await store.register_functions([CHARGE])
    [first] = await store.functions()
    await asyncio.sleep(0.005)
    await store.register_functions([CHARGE._replace(input_schema={"type": "array"})])

    [second] = await store.functions()
    assert second.input_schema == {"type": "array"}
    assert second.registered_at > first.registered_at


async def test_a_function_in_two_queues_is_registered_twice(store):
    await store.register_functions([CHARGE, CHARGE._replace(queue="functions:other")])
    assert [each.queue for each in await store.functions()] == ["functions:other", "functions:shop"]


async def test_all_processes_see_the_functions(store, other):
    await asyncio.gather(*(by.register_functions([each]) for by, each in ((store, CHARGE), (other, GPU))))
    assert [each.name for each in await store.functions()] == ["charge", "embed"]
    assert await store.functions() == await other.functions()


def test_a_function_is_live_for_some_time():
    registered = CHARGE._replace(registered_at=1_000_000)
    assert registered.is_live(1_000_000 + LIVE_MILLISECONDS - 1)
    assert not registered.is_live(1_000_000 + LIVE_MILLISECONDS)
