"""The index: listing executions, newest first, in pages."""

import asyncio

import pytest

from unspool.eventstore.built_in import SCHEDULE, schedule_key
from unspool.eventstore.listing import ExecutionFilter
from unspool.eventstore.records import IndexUpdate, Parent, Status, WorkflowRef
from unspool.eventstore.results import Outcome

ANY = ExecutionFilter()


async def ids(store, wanted=ANY, tenant="default", limit=50):
    """Returns all ids, read in pages of a size."""
    found, cursor = [], None
    while True:
        page = await store.executions(tenant, wanted, limit=limit, cursor=cursor)
        found += [record.key.id for record in page.items]
        assert len(page.items) <= limit
        if page.cursor is None:
            return found
        assert len(page.items) == limit
        cursor = page.cursor


async def test_an_unknown_execution(store, make):
    assert await store.execution(make.key()) is None
    assert await store.executions("default", ANY) == await store.executions("other", ANY)
    assert await ids(store) == []


async def test_a_commit_updates_the_index(store, make, hands):
    key = await hands.started(store)
    await store.commit(make.commit(key, count=2, index=IndexUpdate(Status.RUNNING, started_at=5)))
    await store.commit(make.commit(key, after=2, index=IndexUpdate(Status.WAITING)))
    waiting = await store.execution(key)
    await store.commit(make.commit(key, after=3))
    untouched = await store.execution(key)
    await store.commit(make.commit(key, after=4, index=IndexUpdate(Status.COMPLETED, ended_at=9)))
    ended = await store.execution(key)

    assert (waiting.status, waiting.started_at, waiting.ended_at, waiting.version) == (
        Status.WAITING,
        5,
        None,
        3,
    )
    assert (untouched.status, untouched.started_at, untouched.version) == (Status.WAITING, 5, 4)
    assert (ended.status, ended.started_at, ended.ended_at, ended.version) == (Status.COMPLETED, 5, 9, 5)
    assert (await store.executions("default", ANY)).items == (ended,)


async def test_an_execution_that_is_retried_has_not_ended(store, make, hands):
    key = await hands.started(store)
    await store.commit(make.commit(key, index=IndexUpdate(Status.FAULTED, started_at=5, ended_at=9)))

    await store.commit(make.commit(key, after=1, index=IndexUpdate(Status.RUNNING)))

    record = await store.execution(key)
    assert (record.started_at, record.ended_at) == (5, None)


async def ids_by_status(store):
    return {
        status: found
        for status in Status
        if (found := await ids(store, ExecutionFilter(frozenset({status}))))
    }


async def test_steps_of_one_execution_in_one_call_leave_its_last_status(store, make, hands):
    key = await hands.started(store)
    steps = [
        make.commit(key, index=IndexUpdate(Status.RUNNING, started_at=5)),
        make.commit(key, after=1, index=IndexUpdate(Status.WAITING)),
        make.commit(key, after=2),
        make.commit(key, after=3, index=IndexUpdate(Status.COMPLETED, ended_at=9)),
    ]

    assert await store.commit_all(steps) == [Outcome.COMMITTED] * 4

    record = await store.execution(key)
    assert (record.version, record.status, record.started_at, record.ended_at) == (4, Status.COMPLETED, 5, 9)
    assert await ids_by_status(store) == {Status.COMPLETED: ["one"]}
    assert await store.ended_before(10, 10) == [record]
    assert await store.ended_before(9, 10) == []


async def test_an_execution_that_ends_and_is_retried_in_one_call_has_not_ended(store, make, hands):
    key = await hands.started(store)
    steps = [
        make.commit(key, index=IndexUpdate(Status.FAULTED, started_at=5, ended_at=9)),
        make.commit(key, after=1, index=IndexUpdate(Status.RUNNING)),
    ]

    assert await store.commit_all(steps) == [Outcome.COMMITTED] * 2

    record = await store.execution(key)
    assert (record.status, record.started_at, record.ended_at) == (Status.RUNNING, 5, None)
    assert await ids_by_status(store) == {Status.RUNNING: ["one"]}
    assert await store.ended_before(1_000, 10) == []


async def test_an_execution_that_is_retried_and_ends_in_one_call_has_the_new_end(store, make, hands):
    key = await hands.started(store)
    await store.commit(make.commit(key, index=IndexUpdate(Status.FAULTED, started_at=5, ended_at=9)))
    steps = [
        make.commit(key, after=1, index=IndexUpdate(Status.RUNNING)),
        make.commit(key, after=2, index=IndexUpdate(Status.FAULTED, ended_at=70)),
    ]

    assert await store.commit_all(steps) == [Outcome.COMMITTED] * 2

    record = await store.execution(key)
    assert (record.status, record.ended_at) == (Status.FAULTED, 70)
    assert await ids_by_status(store) == {Status.FAULTED: ["one"]}
    assert await store.ended_before(70, 10) == []
    assert await store.ended_before(71, 10) == [record]


async def test_a_refused_step_between_others_changes_no_status(store, make, hands):
    key = await hands.started(store)
    steps = [
        make.commit(key, index=IndexUpdate(Status.RUNNING, started_at=5)),
        make.commit(key, commit_id="rival", index=IndexUpdate(Status.FAULTED, ended_at=6)),
        make.commit(key, after=1, index=IndexUpdate(Status.SUSPENDED)),
    ]

    assert await store.commit_all(steps) == [Outcome.COMMITTED, Outcome.CONFLICT, Outcome.COMMITTED]

    record = await store.execution(key)
    assert (record.version, record.status, record.ended_at) == (2, Status.SUSPENDED, None)
    assert await ids_by_status(store) == {Status.SUSPENDED: ["one"]}


async def test_many_executions_change_their_status_in_one_call(store, make):
    """So many that several share a shard. Every fourth step is refused."""
    keys = [make.key(f"e{number:03}") for number in range(120)]
    for key in keys:
        await store.start(make.start(key))
    updates = [
        IndexUpdate(Status.RUNNING, started_at=1),
        IndexUpdate(Status.COMPLETED, started_at=1, ended_at=2),
        None,
        IndexUpdate(Status.FAULTED, ended_at=3),
    ]
    commits = [
        make.commit(key, after=7 if number % 4 == 3 else 0, index=updates[number % 4])
        for number, key in enumerate(keys)
    ]

    assert await store.commit_all(commits) == [*[Outcome.COMMITTED] * 3, Outcome.CONFLICT] * 30

    def every(*remainders):
        return [key.id for number, key in reversed([*enumerate(keys)]) if number % 4 in remainders]

    assert await ids_by_status(store) == {
        Status.PENDING: every(2, 3),
        Status.RUNNING: every(0),
        Status.COMPLETED: every(1),
    }
    assert {record.key.id for record in await store.ended_before(3, 100)} == {*every(1)}


async def test_executions_that_start_together_are_in_all_their_indexes(store, make):
    """Some have a parent and tags, some have not."""
    keys = [make.key(f"e{number:03}") for number in range(60)]
    parent = Parent("parent", "r1", 1)
    starts = [
        make.start(key, tags={"team": "sales"}, parent=parent) if number % 3 else make.start(key)
        for number, key in enumerate(keys)
    ]

    assert all(await asyncio.gather(*(store.start(start) for start in starts)))

    every = [key.id for key in reversed(keys)]
    some = [key.id for number, key in reversed([*enumerate(keys)]) if number % 3]
    assert await ids_by_status(store) == {Status.PENDING: every}
    assert await ids(store, ExecutionFilter(workflow=("shop", "order"))) == every
    assert await ids(store, ExecutionFilter(tags={"team": "sales"})) == some
    assert await ids(store, ExecutionFilter(parent="parent")) == some
    assert await ids(store, ExecutionFilter(id_prefix="e0")) == every


@pytest.mark.parametrize("limit", [1, 2, 3, 50])
async def test_executions_are_listed_newest_first(store, make, limit):
    for id_, created_at in (("b", 2), ("a", 2), ("d", 1), ("c", 3), ("e", 2)):
        await store.start(make.start(make.key(id_), created_at=created_at))

    assert await ids(store, limit=limit) == ["c", "e", "b", "a", "d"]


async def test_new_executions_do_not_disturb_a_listing_under_way(store, make):
    for n in range(4):
        await store.start(make.start(make.key(f"old{n}"), created_at=n))
    first = await store.executions("default", ANY, limit=2)
    await store.start(make.start(make.key("new"), created_at=9))

    second = await store.executions("default", ANY, limit=2, cursor=first.cursor)

    assert [r.key.id for r in (*first.items, *second.items)] == ["old3", "old2", "old1", "old0"]
    assert second.cursor is None


@pytest.mark.parametrize("limit", [1, 2, 50])
async def test_filters(store, make, limit):
    pack = WorkflowRef("shop", "pack", "1.0.0")
    newer = WorkflowRef("shop", "order", "2.0.0")
    await store.start(make.start(make.key("a"), created_at=1))
    await store.start(make.start(make.key("b"), created_at=2, workflow=pack))
    await store.start(make.start(make.key("c"), created_at=3, workflow=newer))
    await store.start(make.start(make.key("d", "other"), created_at=4))
    for id_ in ("a", "b"):
        await store.commit(make.commit(make.key(id_), index=IndexUpdate(Status.FAULTED)))

    async def found(tenant="default", **wanted):
        return await ids(store, ExecutionFilter(**wanted), tenant, limit)

    assert await found() == ["c", "b", "a"]
    assert await found("other") == ["d"]
    assert await found(statuses={Status.FAULTED}) == ["b", "a"]
    assert await found(statuses={Status.PENDING}) == ["c"]
    assert await found(statuses={Status.RUNNING}) == []
    assert await found(workflow=("shop", "order")) == ["c", "a"]
    assert await found(workflow=("shop", "orde")) == []
    assert await found(since=2) == ["c", "b"]
    assert await found(statuses={Status.FAULTED}, workflow=("shop", "order"), since=1) == ["a"]
    assert await found(statuses={Status.FAULTED}, workflow=("shop", "order"), since=2) == []


@pytest.mark.parametrize(
    "cursor", ["x", "1", "-1_a", "1_a/b", "0;DROP", "\ud800", "bnVsbA==", "1" * 5_000, "WzEsIDJd"]
)
async def test_a_cursor_that_no_list_gave_is_refused(store, cursor):
    with pytest.raises(ValueError, match="cursor"):
        await store.executions("default", ANY, cursor=cursor)


async def test_built_in_programs_are_listed_only_by_their_workflow(store, make):
    schedule = schedule_key("default", "shop", "order")
    await store.start(make.start(schedule, workflow=SCHEDULE))
    for number in range(3):
        await store.start(make.start(make.key(f"e{number}"), created_at=number))

    assert await ids(store, limit=1) == ["e2", "e1", "e0"]
    assert await ids(store, ExecutionFilter(frozenset({Status.PENDING})), limit=1) == ["e2", "e1", "e0"]
    assert await ids(store, ExecutionFilter(workflow=SCHEDULE[:2])) == [schedule.id]
    assert (await store.execution(schedule)).workflow == SCHEDULE


@pytest.mark.parametrize("id_", ["$schedule", "$schedule.a", "$schedule.a.b.c", "$schedule.a-.b", "$x.a.b"])
async def test_other_ids_with_the_mark_of_built_in_programs_are_refused(store, make, id_):
    with pytest.raises(ValueError, match="id"):
        await store.start(make.start(make.key(id_)))
