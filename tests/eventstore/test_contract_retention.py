"""Retention: ended executions are found by their end, and deleted with all that belongs to them."""

import asyncio

import pytest

from unspool.eventstore.idempotency_keys import IdempotencyKey
from unspool.eventstore.listing import ExecutionFilter
from unspool.eventstore.records import ExecutionKey, IndexUpdate, Parent, Snapshot, Status

LATER = 1_000_000


@pytest.fixture
def ended(store, make, hands):
    """Starts an execution and ends it at a time."""

    async def end(key, at=9, status=Status.COMPLETED, *, count=1):
        await hands.started(store, key)
        await store.commit(make.commit(key, count=count, index=IndexUpdate(status, ended_at=at)))
        return await store.execution(key)

    return end


def ids(records):
    return [record.key.id for record in records]


async def test_ended_executions_are_found_by_the_time_of_their_end(store, make, hands, ended):
    early, late = await ended(make.key("early"), 5), await ended(make.key("late"), 50)
    failed = await ended(make.key("failed", "other"), 6, Status.FAULTED)
    await hands.started(store, make.key("waiting"))

    found = await store.ended_before(50, 10)

    assert sorted(found, key=lambda record: record.key.id) == [early, failed]
    assert sorted(ids(await store.ended_before(51, 10))) == ["early", "failed", "late"]
    assert len(await store.ended_before(51, 2)) == 2
    assert late.ended_at == 50


async def test_as_many_as_asked_for_are_found_wherever_they_are(store, make, ended):
    all_ids = {(await ended(make.key(f"execution-{number}"), 5)).key.id for number in range(20)}

    found = [ids(await store.ended_before(50, limit)) for limit in (1, 7, 19, 20, 100)]

    assert list(map(len, found)) == [1, 7, 19, 20, 20]
    assert set(found[-1]) == all_ids


async def test_an_execution_that_is_retried_is_not_found(store, make, ended):
    key = (await ended(make.key(), 5, Status.FAULTED)).key
    await store.commit(make.commit(key, after=1, index=IndexUpdate(Status.RUNNING)))
    assert await store.ended_before(LATER, 10) == []

    await store.commit(make.commit(key, after=2, index=IndexUpdate(Status.COMPLETED, ended_at=70)))
    assert await store.ended_before(70, 10) == []
    assert ids(await store.ended_before(71, 10)) == ["one"]


async def test_an_execution_is_left_out_until_a_time(store, make, ended):
    first, second = [await ended(make.key(name), 5) for name in ("first", "second")]

    await store.look_again_at({first.key: 100, make.key("unknown"): 100})

    assert ids(await store.ended_before(100, 10)) == ["second"]
    assert sorted(ids(await store.ended_before(101, 10))) == ["first", "second"]
    assert second.ended_at == 5


async def test_nothing_is_left_of_a_dropped_execution(store, make, ended):
    record = await ended(make.key())
    key = record.key
    await store.put_snapshot(key, Snapshot(1, b"state"))

    assert await store.drop([record]) == [True]

    assert await store.execution(key) is None
    assert await store.history(key) == []
    assert await store.load([key], 10) == [None]
    for wanted in (
        ExecutionFilter(),
        ExecutionFilter(frozenset({Status.COMPLETED})),
        ExecutionFilter(workflow=make.workflow[:2]),
    ):
        assert (await store.executions("default", wanted)).items == ()
    assert await store.ended_before(LATER, 10) == []


async def test_others_stay_as_they_are(store, make, ended):
    dropped, kept = await ended(make.key("dropped")), await ended(make.key("kept"))
    same_id = await ended(make.key("dropped", "other"))

    await store.drop([dropped])

    assert await store.execution(kept.key) == kept
    assert await store.execution(same_id.key) == same_id
    assert len(await store.history(kept.key)) == len(await store.history(same_id.key)) == 1
    assert (await store.executions("default", ExecutionFilter())).items == (kept,)


async def test_one_that_has_changed_stays(store, make, hands, ended):
    record = await ended(make.key(), 5, Status.FAULTED)
    await store.commit(make.commit(record.key, after=1, index=IndexUpdate(Status.RUNNING)))

    assert await store.drop([record]) == [False]
    assert await store.drop([await store.execution(record.key)]) == [False], "it has not ended"

    assert len(await store.history(record.key)) == 2


async def test_two_that_drop_the_same(store, other, make, ended):
    records = [await ended(make.key(f"e{n}")) for n in range(30)]

    first, second = await asyncio.gather(store.drop(records), other.drop(records))

    assert [sum(both) for both in zip(first, second, strict=True)] == [1] * 30
    assert await store.ended_before(LATER, 100) == []


async def test_one_with_a_dead_letter_stays(store, make, hands, ended):
    record = await ended(make.key())
    await store.send("default", make.message())
    [delivery] = await hands.messages(store)
    letter = await store.move_to_dead_letters(delivery, "bug", "trace")

    assert await store.drop([record]) == [False]
    assert await store.execution(record.key) == record

    await store.discard("default", letter)
    assert await store.drop([record]) == [True]


async def test_the_same_id_can_start_again(store, make, hands, ended):
    record = await ended(make.key(), count=3)
    await store.drop([record])

    await hands.started(store, record.key)
    await store.commit(make.commit(record.key, commit_id="again"))

    assert [event.seq for event in await store.history(record.key)] == [1]
    assert (await store.execution(record.key)).version == 1
    assert await store.ended_before(LATER, 10) == []


async def test_a_long_history(store, make, ended):
    record = await ended(make.key())
    key = record.key
    await store.commit(make.commit(key, after=1, index=IndexUpdate(Status.RUNNING)))
    for after in range(2, 2_400):
        await store.commit(make.commit(key, after=after))
    await store.commit(make.commit(key, after=2_400, index=IndexUpdate(Status.CANCELLED, ended_at=9)))
    rest = await ended(make.key("rest"))

    assert await store.drop([await store.execution(key), rest]) == [True, True]

    assert await store.history(key) == await store.history(rest.key) == []


async def test_changes_are_noticed_after_the_newest_was_dropped(store, other, make, hands, ended):
    record = await ended(make.key("newest"))
    key = await hands.started(store, make.key("watched"))
    waiting = asyncio.create_task(other.wait_for_version(key, 0, 60))

    await store.drop([record])
    await store.commit(make.commit(key))

    await asyncio.wait_for(waiting, 60)
    assert (await other.execution(key)).version == 1


async def test_a_sub_workflow_is_dropped_without_its_parent(store, make, hands):
    parent = await hands.started(store, make.key("parent"))
    child = make.start(make.key("child"), parent=Parent("parent", "r1", 1))
    await store.start(child)
    await store.acknowledge(await hands.messages(store))
    await store.commit(make.commit(child.key, index=IndexUpdate(Status.COMPLETED, ended_at=9)))

    assert await store.drop(await store.ended_before(LATER, 10)) == [True]

    assert (await store.execution(parent)).status is Status.PENDING
    assert await store.execution(child.key) is None


async def test_a_key_is_released_by_the_execution_that_has_it(store, make):
    key = IdempotencyKey("default", "shop", "sync", "sync:7")
    await store.claim_key(key, "one")

    assert not await store.release_key(key, "two")
    assert await store.claim_key(key, "two") == "one"
    await store.keep_key(key, "one", 3)
    assert await store.release_key(key, "one")
    assert not await store.release_key(key, "one")
    assert await store.claim_key(key, "two") == "two"


async def test_all_are_in_the_index(store, make, ended):
    for n in range(5):
        await ended(ExecutionKey("default", f"e{n}"))

    assert await store.index_ended(100) == 0
    assert await store.index_existing(100) == 0
