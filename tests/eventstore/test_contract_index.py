"""The index: listing executions, newest first, in pages."""

import pytest

from unspool.eventstore.built_in import SCHEDULE, schedule_key
from unspool.eventstore.listing import ExecutionFilter
from unspool.eventstore.records import IndexUpdate, Status, WorkflowRef

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
