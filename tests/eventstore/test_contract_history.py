"""Starts, histories, snapshots, and waiting for new events of an execution."""

import asyncio
import time

import pytest

from unspool.eventstore.events import Event
from unspool.eventstore.records import MessageKind, Snapshot, Status


async def test_a_start_makes_a_pending_execution_and_its_message(store, make, hands):
    assert await store.start(make.start())

    record = await store.execution(make.key())
    assert (record.key, record.workflow, record.status) == (make.key(), make.workflow, Status.PENDING)
    assert (record.version, record.created_at, record.pending_input) == (0, 1_000, {"amount": 3})
    assert (record.started_at, record.ended_at) == (None, None)
    [delivery] = await hands.messages(store)
    assert delivery.key == make.key()
    assert delivery.body.kind is MessageKind.START
    assert delivery.body.body == {"workflow": [*make.workflow], "input": {"amount": 3}}


async def test_a_second_start_changes_nothing(store, make, hands):
    await store.start(make.start())

    assert not await store.start(make.start(input={"amount": 4}))

    assert (await store.execution(make.key())).pending_input == {"amount": 3}
    await hands.messages(store, 1)
    assert await hands.nothing_waits(store)


async def test_one_of_many_starts_at_once_is_first(store, make, hands):
    made = await asyncio.gather(*(store.start(make.start(input=i)) for i in range(20)))

    assert sum(made) == 1
    assert (await store.execution(make.key())).pending_input == made.index(True)
    await hands.messages(store, 1)
    assert await hands.nothing_waits(store)


@pytest.mark.parametrize("id_", ["", "a/b", "a b", "{a}", "a\n", "x" * 129, "é"])
async def test_ids_that_are_not_allowed(store, make, id_):
    with pytest.raises(ValueError, match="id"):
        await store.start(make.start(make.key(id_)))


@pytest.mark.parametrize("tenant", ["", "a.b", "a}", "x" * 64, "a\n"])
async def test_tenants_that_are_not_allowed(store, make, tenant):
    with pytest.raises(ValueError, match="tenant"):
        await store.start(make.start(make.key(tenant=tenant)))


async def test_the_input_is_with_the_execution_until_a_history_holds_it(store, make, hands):
    key = await hands.started(store)

    await store.commit(make.commit(key))

    assert (await store.execution(key)).pending_input is None


@pytest.mark.parametrize(
    "value", [None, True, 0, 2**53 + 1, -1.5, "", "ä€😀\0", [], {}, {"a": [{}, []], "": None}]
)
async def test_json_comes_back_as_it_was(store, make, hands, value):
    await store.start(make.start(input=value))
    assert (await store.execution(make.key())).pending_input == value
    await store.acknowledge(await hands.messages(store))
    event = Event(1, "workflow.started", 1, None, None, {"input": value})

    await store.commit(make.commit(events=(event,), tasks=(make.task(arguments={"v": value}),)))
    await store.send("default", make.message(v=value))

    assert await store.history(make.key()) == [event]
    assert (await hands.tasks(store))[0].body.arguments == {"v": value}
    assert (await hands.messages(store))[0].body.body == {"v": value}


async def test_histories_are_read_from_anywhere(store, make, hands):
    """Entries hold three, one and four events; a reader may begin and end within any of them."""
    key = await hands.started(store)
    for after, count in ((0, 3), (3, 1), (4, 4)):
        await store.commit(make.commit(key, after, count))
    everything = [*make.events(8)]

    for after in range(10):
        assert await store.history(key, after=after) == everything[after:]
        for limit in range(1, 10):
            assert await store.history(key, after=after, limit=limit) == everything[after : after + limit]
    assert await store.last_event(key) == everything[-1]


async def test_a_part_of_a_long_history_is_read(store, make, hands):
    """Many entries with one event, then some with hundreds: a reader does not know how many it needs."""
    key, after = await hands.started(store), 0
    for count in (*[1] * 40, 300, 300, *[1] * 10):
        await store.commit(make.commit(key, after, count))
        after += count
    everything = [*make.events(after)]

    for first in (0, 39, 40, 200, after - 11, after - 1):
        for limit in (1, 17, 45, 350, 2_000):
            assert await store.history(key, after=first, limit=limit) == everything[first : first + limit]


async def test_there_is_no_history_before_the_first_commit(store, make, hands):
    key = await hands.started(store)

    assert await store.history(key) == []
    assert await store.last_event(key) is None
    assert await store.history(make.key("missing")) == []
    assert await store.last_event(make.key("missing")) is None


async def test_a_long_history_in_one_entry(store, make, hands):
    key = await hands.started(store)

    await store.commit(make.commit(key, count=5_000))

    assert await store.history(key) == [*make.events(5_000)]
    assert (await store.execution(key)).version == 5_000


async def test_a_snapshot_takes_the_place_of_an_older_one(store, make, hands):
    key = await hands.started(store)
    await store.commit(make.commit(key, count=9))
    for version in (3, 9, 5):
        await store.put_snapshot(key, Snapshot(version, bytes(range(256)) + b"%d" % version))

    [loaded] = await store.load([key], 10)
    assert loaded.snapshot == Snapshot(9, bytes(range(256)) + b"9")


async def test_executions_are_loaded_together(store, make):
    keys = [make.key(f"e{i}") for i in range(100)]  # so many that several share a shard
    for i, key in enumerate(keys):
        await store.start(make.start(key, input=i))
        for after in range(i % 4):
            await store.commit(make.commit(key, after=3 * after, count=3))
    wanted = [make.key("missing"), *reversed(keys), make.key("e7", "another")]

    [missing, *found, another] = await store.load(wanted, 10)

    assert (missing, another) == (None, None)
    for i, (key, loaded) in enumerate(zip(keys, reversed(found), strict=True)):
        assert loaded.record == await store.execution(key)
        assert loaded.record.pending_input == (i if i % 4 == 0 else None)
        assert loaded.snapshot is None
        assert loaded.events == [*make.events(3 * (i % 4))]
    assert await store.load([], 10) == []


async def test_a_load_goes_on_from_the_snapshot_and_no_further_than_asked(store, make, hands):
    key = await hands.started(store)
    for after in (0, 2, 4, 6):
        await store.commit(make.commit(key, after=after, count=2))

    [cut] = await store.load([key], 3)
    await store.put_snapshot(key, Snapshot(4, b"4"))
    [after_snapshot] = await store.load([key], 3)

    assert cut.events == [*make.events(6)]
    assert cut.record.version == 8
    assert after_snapshot.snapshot == Snapshot(4, b"4")
    assert after_snapshot.events == [*make.events(4, 4)]


async def test_waiting_for_a_version_that_is_there(store, make, hands):
    key = await hands.started(store)
    await store.commit(make.commit(key, count=2))

    async with asyncio.timeout(25):
        await store.wait_for_version(key, 1, 60)


async def test_waiting_for_a_version_that_comes(store, make, hands):
    key, unrelated = await hands.started(store), await hands.started(store, make.key("two"))
    waiting = [asyncio.ensure_future(store.wait_for_version(key, 0, 60)) for _ in range(3)]

    async def commit_soon() -> None:
        await store.commit(make.commit(unrelated))
        await store.commit(make.commit(key))

    async with asyncio.timeout(25):
        await asyncio.gather(commit_soon(), *waiting)
    assert len(await store.history(key)) == 1


async def test_waiting_for_a_version_another_process_makes(store, other, make, hands):
    key = await hands.started(store)
    waiting = asyncio.ensure_future(store.wait_for_version(key, 0, 60))

    async with asyncio.timeout(25):
        await other.commit(make.commit(key))
        await waiting
    assert len(await store.history(key)) == 1


async def test_waiting_for_a_version_ends(store, make, hands):
    key = await hands.started(store)
    begun = time.monotonic()

    await store.wait_for_version(key, 0, 0.2)
    await store.wait_for_version(make.key("missing"), 0, 0.0)

    assert 0.15 < time.monotonic() - begun < 60


async def test_a_cancelled_wait_leaves_the_store_usable(store, make, hands):
    key = await hands.started(store)
    waiting = [asyncio.ensure_future(store.wait_for_version(key, 0, 60)) for _ in range(5)]
    await asyncio.wait(waiting, timeout=0.05)
    for task in waiting[:4]:
        task.cancel()
    await asyncio.wait(waiting[:4])

    await store.commit(make.commit(key))

    async with asyncio.timeout(25):
        await waiting[4]


async def test_a_history_can_lose_its_beginning(store, make, hands):
    key, other = await hands.started(store), await hands.started(store, make.key("other"))
    for after in range(0, 8, 2):
        await store.commit(make.commit(key, after=after, count=2))
        await store.commit(make.commit(other, after=after, count=2))

    await store.trim_history(key, 4)  # its entries end with 2, 4, 6 and 8
    assert [event.seq for event in await store.history(key)] == [3, 4, 5, 6, 7, 8]
    await store.trim_history(key, 5)
    await store.trim_history(key, 5)
    await store.trim_history(key, 1)

    assert [event.seq for event in await store.history(key)] == [5, 6, 7, 8]
    assert [event.seq for event in await store.history(key, after=6)] == [7, 8]
    assert (await store.last_event(key)).seq == 8
    [loaded] = await store.load([key], 10)
    assert [event.seq for event in loaded.events] == [5, 6, 7, 8]
    assert len(await store.history(other)) == 8
    await store.commit(make.commit(key, after=8))
    assert (await store.last_event(key)).seq == 9
