"""The port's searches of executions: tags, all filters, pages and counts."""

import pytest

from unspool.eventstore.built_in import SCHEDULE, schedule_key
from unspool.eventstore.listing import Count, ExecutionFilter
from unspool.eventstore.records import IndexUpdate, Parent, StartExecution, Status, TagUpdate, WorkflowRef

PACK = WorkflowRef("shop", "pack", "1.0.0")


async def ids(store, limit=50, tenant="default", **wanted):
    """Returns the ids of all pages."""
    found, cursor = [], None
    while True:
        page = await store.executions(tenant, ExecutionFilter(**wanted), limit=limit, cursor=cursor)
        assert len(page.items) <= limit
        found += [record.key.id for record in page.items]
        cursor = page.cursor
        if cursor is None:
            return found


async def test_an_execution_keeps_the_tags_of_its_start(store, other, make):
    tags = {"order": "A-1", "customer": "Ørsted: {a} 100 %"}
    await store.start(make.start(tags=tags))
    await store.start(make.start(make.key("plain")))

    assert (await other.execution(make.key())).tags == tags
    assert (await other.execution(make.key("plain"))).tags == {}
    [loaded] = await other.load([make.key()], 10)
    assert loaded.record.tags == tags


async def test_the_cursor_of_a_list_by_id_is_not_one_of_other_lists(store, make):
    for number in range(3):
        await store.start(make.start(make.key(f"x{number}")))
    by_id, by_time = ExecutionFilter(id_prefix="x"), ExecutionFilter()
    for criteria, other in ((by_id, by_time), (by_time, by_id)):
        page = await store.executions("default", criteria, limit=1)
        assert len((await store.executions("default", criteria, cursor=page.cursor)).items) == 2
        with pytest.raises(ValueError, match="not a cursor"):
            await store.executions("default", other, cursor=page.cursor)


async def test_the_start_message_has_the_tags(store, make, hands):
    await store.start(make.start(tags={"order": "A-1"}))

    [delivery] = await hands.messages(store)

    assert delivery.body.body["tags"] == {"order": "A-1"}


@pytest.mark.parametrize("limit", [1, 2, 50])
async def test_executions_are_found_by_tags(store, make, limit):
    for number in range(6):
        tags = {"order": f"A-{number % 2}", "size": "large" if number < 3 else "small"}
        await store.start(make.start(make.key(f"e{number}"), created_at=number, tags=tags))
    await store.start(make.start(make.key("x", "other"), tags={"order": "A-1"}))

    assert await ids(store, limit, tags={"order": "A-1"}) == ["e5", "e3", "e1"]
    assert await ids(store, limit, tags={"order": "A-1", "size": "large"}) == ["e1"]
    assert await ids(store, limit, tags={"order": "A-"}) == []
    assert await ids(store, limit, tags={"orde": "r:A-1"}) == []
    assert await ids(store, limit, tenant="other", tags={"order": "A-1"}) == ["x"]


async def test_a_commit_changes_the_tags(store, make, hands):
    key = await hands.started(store)
    first = TagUpdate({}, {"order": "A-1", "stage": "new"})
    second = TagUpdate({"order": "A-1", "stage": "new"}, {"order": "A-1", "stage": "packed"})

    await store.commit(make.commit(key, tags=first))
    assert await ids(store, tags={"stage": "new"}) == [key.id]
    await store.commit(
        make.commit(
            key, after=1, tags=second, index=IndexUpdate(Status.WAITING), messages=(make.message(key.id),)
        )
    )

    assert (await store.execution(key)).tags == {"order": "A-1", "stage": "packed"}
    assert await ids(store, tags={"stage": "new"}) == []
    assert await ids(store, tags={"stage": "packed", "order": "A-1"}) == [key.id]
    assert await ids(store, statuses={Status.WAITING}, tags={"stage": "packed"}) == [key.id]


async def test_a_commit_changes_tags_together_with_everything_else(store, make, hands):
    key = await hands.started(store)
    child = make.start(make.key("child"), tags={"of": "one"}, parent=Parent(key.id, "r1", 1))
    step = make.commit(
        key,
        tags=TagUpdate({}, {"order": "A-1"}),
        tasks=(make.task(execution=key.id),),
        outgoing=(StartExecution(child),),
        subscriptions=(make.subscription(),),
        timers=(make.timer(),),
    )
    plain = make.commit(await hands.started(store, make.key("plain")), index=IndexUpdate(Status.RUNNING))

    assert {*await store.commit_all([step, plain])} == {"committed"}
    assert await store.commit(step) == "duplicate"

    assert await ids(store, tags={"order": "A-1"}) == [key.id]
    assert await ids(store, tags={"of": "one"}) == ["child"]
    assert await ids(store, parent=key.id) == ["child"]
    assert await ids(store, statuses={Status.RUNNING}) == ["plain"]
    assert len(await hands.tasks(store)) == 1


async def test_a_refused_commit_changes_no_tags(store, make, hands):
    key = await hands.started(store)

    await store.commit(make.commit(key, after=5, tags=TagUpdate({}, {"order": "A-1"})))

    assert await ids(store, tags={"order": "A-1"}) == []
    assert (await store.execution(key)).tags == {}


@pytest.mark.parametrize("limit", [1, 2, 50])
async def test_executions_are_found_by_status_version_time_and_parent(store, make, limit):
    newer = WorkflowRef("shop", "order", "2.0.0")
    await store.start(make.start(make.key("a"), created_at=1))
    await store.start(make.start(make.key("b"), created_at=2, workflow=PACK, parent=Parent("a", "r1", 1)))
    await store.start(make.start(make.key("c"), created_at=3, workflow=newer))
    await store.start(make.start(make.key("d"), created_at=3, workflow=PACK, parent=Parent("a", "r2", 1)))
    for id_, status in (("a", Status.FAULTED), ("b", Status.WAITING)):
        await store.commit(make.commit(make.key(id_), index=IndexUpdate(status)))

    async def found(**wanted):
        return await ids(store, limit, **wanted)

    assert await found(statuses={Status.FAULTED, Status.WAITING}) == ["b", "a"]
    assert await found(statuses={Status.FAULTED, Status.PENDING, Status.COMPLETED}) == ["d", "c", "a"]
    assert await found(statuses={*Status}) == ["d", "c", "b", "a"]
    assert await found(workflow=("shop", "order"), version="2.0.0") == ["c"]
    assert await found(workflow=("shop", "order"), version="3.0.0") == []
    assert await found(until=3) == ["b", "a"]
    assert await found(since=2, until=4) == ["d", "c", "b"]
    assert await found(statuses={Status.WAITING, Status.PENDING}, since=3, until=4) == ["d", "c"]
    assert await found(parent="a") == ["d", "b"]
    assert await found(parent="a", statuses={Status.WAITING}) == ["b"]
    assert await found(parent="a", workflow=("shop", "order")) == []
    assert await found(parent="b") == []


@pytest.mark.parametrize("limit", [1, 2, 50])
async def test_executions_are_found_by_id(store, make, limit):
    for created_at, id_ in enumerate(["order-9", "order-10", "orders", "order-1", "Order-1"]):
        await store.start(make.start(make.key(id_), created_at=created_at))

    async def found(**wanted):
        return await ids(store, limit, **wanted)

    assert await found(id="order-1") == ["order-1"]
    assert await found(id="order-") == []
    assert await found(id="order-1", workflow=("shop", "pack")) == []
    assert await found(id_prefix="order-") == ["order-9", "order-10", "order-1"]
    assert await found(id_prefix="order-1") == ["order-10", "order-1"]
    assert await found(id_prefix="order", since=1, until=3) == ["orders", "order-10"]
    assert await found(id_prefix="order-", statuses={Status.FAULTED}) == []
    assert await found(id_prefix="x") == []


async def test_a_page_of_a_rare_combination_reads_a_limited_number_of_executions(store, make, monkeypatch):
    for number in range(60):
        rare = number in {0, 1, 40}
        await store.start(
            make.start(
                make.key(f"e{number:02}"),
                created_at=number,
                workflow=PACK if number % 2 or rare else make.workflow,
                tags={"kind": "rare" if rare else "usual", "all": "yes"},
            )
        )
    for module in ("redis", "sqlite"):
        monkeypatch.setattr(f"unspool.eventstore.{module}.search.MOST_READ", 8)
    monkeypatch.setattr("unspool.eventstore.redis.search.MOST_CALLS", 1)

    criteria = ExecutionFilter(workflow=PACK[:2], version="2.0.0")
    first = await store.executions("default", criteria, limit=5)
    assert (first.items, first.cursor is None) == ((), False)
    assert await ids(store, 5, workflow=PACK[:2], version="2.0.0") == []
    assert await ids(store, 2, workflow=PACK[:2], tags={"all": "yes", "kind": "rare"}) == [
        "e40",
        "e01",
        "e00",
    ]


async def test_equal_times_are_listed_once(store, make):
    expected = [f"e{number:03}" for number in range(150, 0, -1)]
    for id_ in expected:
        await store.start(make.start(make.key(id_), created_at=7))

    assert await ids(store, limit=20) == expected
    assert await ids(store, limit=20, statuses={Status.PENDING}, since=7, until=8) == expected
    assert await ids(store, limit=20, until=7) == []


async def test_executions_are_counted_by_status(store, make):
    await store.start(make.start(schedule_key("default", "shop", "order"), workflow=SCHEDULE))
    await store.start(make.start(make.key("x", "other")))
    for number in range(5):
        await store.start(make.start(make.key(f"e{number}")))
    for number in range(3):
        await store.commit(
            make.commit(make.key(f"e{number}"), index=IndexUpdate(Status.COMPLETED, ended_at=1))
        )

    counts = await store.count_executions("default")

    assert counts == {
        **dict.fromkeys(Status, Count(0, exact=True)),
        Status.PENDING: Count(2, exact=True),
        Status.COMPLETED: Count(3, exact=True),
    }


def test_a_version_needs_a_workflow():
    with pytest.raises(ValueError, match="workflow"):
        ExecutionFilter(version="1.0.0")


async def test_an_execution_that_retention_drops_is_found_no_more(store, make):
    start = make.start(parent=Parent("a", "r1", 1), tags={"order": "A-1"})
    await store.start(start)
    await store.commit(
        make.commit(tags=TagUpdate(start.tags, {"stage": "sent"}), index=IndexUpdate(Status.COMPLETED, 1, 2))
    )
    record = await store.execution(start.key)

    assert await store.drop([record]) == [True]

    for wanted in ({}, {"tags": {"stage": "sent"}}, {"parent": "a"}, {"id_prefix": "o"}, {"id": "one"}):
        assert await ids(store, **wanted) == [], wanted
    await store.start(make.start())
    assert await ids(store, tags={"stage": "sent"}) == []
    assert await ids(store, parent="a") == []
