"""Who accepted an event, and who listens: bounded records, for those who ask."""

import pytest

from unspool.eventstore.event_bus import KEPT_ACCEPTANCES


async def accepted(store, make, key, after, *events):
    """Commits that an execution accepts events."""
    await store.commit(make.commit(key, after, consumed=events))


async def test_those_that_accept_an_event_are_known_the_first_one_first(store, make, hands):
    first, second = make.event("e1"), make.event("e2")
    one, two, other = [await hands.started(store, make.key(name)) for name in ("one", "two", "other")]

    await accepted(store, make, two, 0, first, second)
    await accepted(store, make, one, 0, first)
    await accepted(store, make, one, 1, first)
    await store.commit(make.commit(other))

    assert await store.accepted_by("default", first) in (["two", "one"], ["one", "two"])
    assert await store.accepted_by("default", second) == ["two"]
    assert await store.accepted_by("default", make.event("e1", source="/other")) == []
    assert await store.accepted_by("another", first) == []


async def test_a_refused_commit_accepts_nothing(store, make, hands):
    key = await hands.started(store)

    await store.commit(make.commit(key, 7, consumed=(make.event(),)))

    assert await store.accepted_by("default", make.event()) == []


async def test_only_the_newest_acceptances_are_kept(store, make, hands):
    key = await hands.started(store)
    events = [make.event(f"e{n}") for n in range(3 * KEPT_ACCEPTANCES)]
    for after in range(30):  # the oldest are forgotten now and then
        await accepted(store, make, key, after, *events[100 * after : 100 * after + 100])

    assert await store.accepted_by("default", events[0]) == []
    assert await store.accepted_by("default", events[-KEPT_ACCEPTANCES]) == ["one"]
    assert await store.accepted_by("default", events[-1]) == ["one"]


async def test_executions_that_listen_are_found(store, make, hands):
    paid, late = make.entry(type="paid"), make.entry(type="paid", subject="7")
    for n in range(6):
        entries = (paid, late) if n % 2 else (late,)
        await hands.subscribed(store, make.subscription("r1", *entries), key=make.key(f"x{n}"))
    await hands.subscribed(store, make.subscription("r1", make.entry(type="sent")), key=make.key("sent"))
    await hands.started(store, make.key("silent"))

    assert sorted(await store.listening("default", 100)) == ["sent", "x0", "x1", "x2", "x3", "x4", "x5"]
    assert sorted(await store.listening("default", 100, [paid.key])) == ["x1", "x3", "x5"]
    assert sorted(await store.listening("default", 100, [late.key, paid.key])) == [f"x{n}" for n in range(6)]
    assert await store.listening("default", 100, ["type=other"]) == []
    assert await store.listening("default", 100, []) == []
    assert len(await store.listening("default", 2)) == 2
    assert len(await store.listening("default", 2, [late.key])) == 2
    assert await store.listening("another", 100) == []
    assert await store.shapes("default") == ("type", "type,subject")
    assert await store.shapes("another") == ()


async def test_one_that_no_longer_listens_is_not_found(store, make, hands):
    key = await hands.subscribed(store, make.subscription())

    await store.commit(make.commit(key, 1, subscriptions_closed=("r1",)))

    assert await store.listening("default", 100) == []
    assert await store.listening("default", 100, [make.entry(type="paid").key]) == []
    assert await store.shapes("default") == ()


async def test_an_event_is_found_by_its_position(store, make):
    await store.publish("default", [make.event("e1"), make.event("e2")])
    listed = await store.published_events("default")

    for each in listed:
        assert await store.published_event("default", each.position) == each
    assert await store.published_event("another", listed[0].position) is None
    with pytest.raises(ValueError, match="position"):
        await store.published_event("default", "+")
