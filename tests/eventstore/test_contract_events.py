"""The event bus: events are published once, in order, and reach each subscription once, in that order."""

import asyncio
import time
from collections import Counter
from typing import Any

import pytest
from tests.background import repeating
from tests.eventstore.conftest import keys_of

from unspool.eventstore.event_bus import KEPT_EVENTS
from unspool.eventstore.event_settings import EventSettings
from unspool.eventstore.published_events import Subscription
from unspool.eventstore.records import IndexUpdate, MessageKind, PublishEvent, Status
from unspool.eventstore.results import Outcome


async def test_a_run_gets_the_events_that_it_is_subscribed_to_in_order(store, make, hands):
    key = await hands.subscribed(store, make.subscription())

    events = [make.event(f"e{n}", ("paid", "sent")[n % 2], data={"n": n}) for n in range(20)]
    assert await store.publish("default", events) == 20
    assert await hands.matched(store) == 10

    deliveries = await hands.messages(store, 10)
    orders = [delivery.body.body["order"] for delivery in deliveries]
    assert orders == sorted(set(orders))
    assert [delivery.body for delivery in deliveries] == [
        make.message(key.id, MessageKind.EVENT, run="r1", event=event, order=order)
        for event, order in zip(events[::2], orders, strict=True)
    ]
    assert await hands.matched(store) == 0
    assert await store.receive_events(make.worker, 10, 0) is None


async def test_an_event_reaches_all_that_are_subscribed_to_it(store, make, hands):
    expected = []
    for n in range(40):
        runs = [make.subscription(f"r{run}") for run in range(n % 3)]
        key = await hands.subscribed(store, *runs, key=make.key(f"x{n}"))
        expected += [(key.id, subscription.run, "e1") for subscription in runs]

    await store.publish("default", [make.event()])
    assert await hands.matched(store) == len(expected)

    assert sorted(await hands.events(store, len(expected))) == sorted(expected)


async def test_only_events_with_one_of_its_keys_reach_a_run(store, make, hands):
    entries = (make.entry(type="paid", subject="7"), make.entry(type="sent"))
    await hands.subscribed(store, make.subscription("r1", *entries))

    await store.publish(
        "default",
        [
            make.event("a", subject="7"),
            make.event("b", subject="8"),
            make.event("c"),
            make.event("d", "sent", subject="8"),
            make.event("e", "lost"),
        ],
    )
    await hands.matched(store)

    assert [id_ for *_, id_ in await hands.events(store, 2)] == ["a", "d"]


async def test_a_run_gets_an_event_with_several_of_its_keys_once(store, make, hands):
    entries = (make.entry(type="paid"), make.entry(source="/shop"), make.entry(type="paid", source="/shop"))
    key = await hands.subscribed(
        store, make.subscription("r1", *entries), make.subscription("r2", entries[1])
    )

    await store.publish("default", [make.event()])
    assert await hands.matched(store) == 2

    assert sorted(await hands.events(store, 2)) == [(key.id, "r1", "e1"), (key.id, "r2", "e1")]


# Publishing


async def test_an_event_is_published_once(store, make):
    assert await store.publish("default", [make.event("a"), make.event("b"), make.event("a")]) == 2
    again = [make.event("b", "other"), make.event("c"), make.event("a", source="/other")]
    assert await store.publish("default", again) == 2

    published = [each.event for each in await store.published_events("default")]
    assert [(event["id"], event["source"], event["type"]) for event in published] == [
        ("a", "/shop", "paid"),
        ("b", "/shop", "paid"),
        ("c", "/shop", "paid"),
        ("a", "/other", "paid"),
    ]


@pytest.mark.parametrize(("seconds", "published"), [(0.0, 2), (0.05, 2), (60.0, 1)])
async def test_the_same_event_is_published_again_after_the_time_of_deduplication(
    adapter, make, seconds, published
):
    store = adapter.make(adapter.clock, EventSettings(deduplication_seconds=seconds))
    await store.open()
    await store.publish("default", [make.event()])
    published_at = await store.now()
    while seconds < 1 and await store.now() <= published_at + seconds * 1000:
        await asyncio.sleep(0.01)

    await store.publish("default", [make.event()])

    assert len(await store.published_events("default")) == published
    await store.close()


async def test_an_event_has_the_time_when_it_was_published(store, make):
    before = await store.now()
    await store.publish("default", [make.event("a")])
    await store.publish("default", [make.event("b")])
    after = await store.now()

    first, second = await store.published_events("default")
    assert before <= first.published_at <= second.published_at <= after
    assert await store.published_event("default", first.position) == first
    assert (await store.receive_events(make.worker, 10, 10)).events == (first, second)


async def test_a_bus_is_read_by_position(store, make):
    await store.publish("default", [make.event(f"e{n}") for n in range(10)])

    every = await store.published_events("default")
    assert [each.event["id"] for each in every] == [f"e{n}" for n in range(10)]
    assert await store.published_events("default", limit=3) == every[-3:]
    assert await store.published_events("default", after=every[3].position) == every[4:]
    assert await store.published_events("default", after="0") == every
    assert await store.published_events("default", after=every[3].position, limit=2) == every[4:6]
    assert await store.published_events("default", after=every[-1].position) == []
    assert await store.published_events("other") == []


@pytest.mark.parametrize(
    "position",
    [
        "",
        "x",
        "-",
        "1-2-3",
        "1-",
        "9" * 30,
        "1 OR 1",
        "99999999999999999999-0",
        "-".join([str(2**64 - 1)] * 2),
    ],
)
async def test_a_text_that_is_not_a_position_is_refused(store, position):
    with pytest.raises(ValueError, match="position"):
        await store.published_events("default", after=position)
    if position:
        with pytest.raises(ValueError, match="position"):
            await store.wait_for_events("default", position, 0)


async def test_names_that_no_tenant_can_have(store, make):
    with pytest.raises(ValueError, match="tenant"):
        await store.publish("a}:{b", [make.event()])


async def test_a_call_that_waits_for_events_is_woken(store, make):
    loop = asyncio.get_running_loop()
    began = loop.time()
    await store.wait_for_events("default", None, 0.1)
    assert loop.time() - began >= 0.09

    waiting = asyncio.create_task(store.wait_for_events("default", None, 30))
    await asyncio.wait([waiting], timeout=0.05)
    await store.publish("other", [make.event()])
    assert not waiting.done()
    await store.publish("default", [make.event()])
    async with asyncio.timeout(25):
        await waiting
        await store.wait_for_events("default", None, 30)

    [published] = await store.published_events("default")
    later = asyncio.create_task(store.wait_for_events("default", published.position, 30))
    await asyncio.wait([later], timeout=0.05)
    assert not later.done()
    await store.publish("default", [make.event("e2")])
    async with asyncio.timeout(25):
        await later


async def test_a_consumer_that_waits_gets_events_at_once(store, make):
    async def seconds(id_: str) -> float:
        waiting = asyncio.create_task(store.receive_events(make.worker, 10, 30))
        await asyncio.wait([waiting], timeout=0.1)
        assert not waiting.done()
        began = time.monotonic()
        await store.publish("default", [make.event(id_)])
        async with asyncio.timeout(25):
            batch = await waiting
        assert (batch.tenant, [each.event for each in batch.events]) == ("default", [make.event(id_)])
        await store.match(batch, keys_of)
        return time.monotonic() - began

    assert min([await seconds(f"e{n}") for n in range(4)]) < 0.9  # it does not only read every second


async def test_a_bus_keeps_the_newest_events_and_those_that_are_not_matched(store, make, hands):
    await store.publish("default", [make.event(f"e{n}") for n in range(KEPT_EVENTS + 300)])
    assert len(await store.published_events("default", limit=5_000)) == KEPT_EVENTS + 300

    await hands.matched(store)
    kept = await store.published_events("default", limit=5_000)
    assert [each.event["id"] for each in kept] == [f"e{n}" for n in range(300, KEPT_EVENTS + 300)]

    await store.publish("default", [make.event("last")])
    assert len(await store.published_events("default", limit=5_000)) == KEPT_EVENTS + 1


# Subscriptions


async def test_a_subscription_gets_no_events_that_were_matched_before_it(store, make, hands):
    await store.publish("default", [make.event("before")])
    await hands.matched(store)
    await hands.subscribed(store, make.subscription())

    await store.publish("default", [make.event("after")])
    await hands.matched(store)

    assert [id_ for *_, id_ in await hands.events(store, 1)] == ["after"]


async def test_a_closed_subscription_gets_nothing(store, make, hands):
    key = await hands.subscribed(store, make.subscription(), make.subscription("r2"))
    await store.commit(make.commit(key, after=1, subscriptions_closed=("r1", "never opened")))

    await store.publish("default", [make.event()])
    await hands.matched(store)

    assert await hands.events(store, 1) == [(key.id, "r2", "e1")]


async def test_a_subscription_replaces_the_one_of_its_run(store, make, hands):
    key = await hands.subscribed(store, make.subscription())
    other = make.subscription("r1", make.entry(type="sent"), make.entry(type="sent", subject="7"))
    await store.commit(make.commit(key, after=1, subscriptions=(other,)))

    await store.publish("default", [make.event("a"), make.event("b", "sent", subject="7")])
    await hands.matched(store)

    assert await hands.events(store, 1) == [(key.id, "r1", "b")]


async def test_an_execution_that_ends_closes_its_subscriptions(store, make, hands):
    key = await hands.subscribed(store, make.subscription())
    ended = IndexUpdate(Status.CANCELLED, ended_at=9)
    await store.commit(make.commit(key, after=1, index=ended, subscriptions_closed=("r1",)))

    await store.publish("default", [make.event()])

    assert await hands.matched(store) == 0
    assert await hands.nothing_waits(store)


async def test_a_refused_commit_opens_and_closes_nothing(store, make, hands):
    key = await hands.subscribed(store, make.subscription())

    refused = make.commit(
        key, commit_id="rival", subscriptions=(make.subscription("r2"),), subscriptions_closed=("r1",)
    )
    assert await store.commit(refused) is Outcome.CONFLICT

    await store.publish("default", [make.event()])
    await hands.matched(store)
    assert await hands.events(store, 1) == [(key.id, "r1", "e1")]


async def test_a_repeated_commit_opens_once(store, make, hands):
    key = await hands.started(store)
    commit = make.commit(key, subscriptions=(make.subscription(),))
    assert await store.commit(commit) is Outcome.COMMITTED
    assert await store.commit(commit) is Outcome.DUPLICATE
    await store.commit(make.commit(key, after=1, subscriptions_closed=("r1",)))

    await store.publish("default", [make.event()])

    assert await hands.matched(store) == 0


async def test_a_key_with_blanks_is_refused(make):
    with pytest.raises(ValueError, match="blanks"):
        make.commit(subscriptions=(make.subscription("r1", make.entry(type="a b")),))


async def test_any_text_can_be_a_run(store, make, hands):
    runs = ["", " ", 'a "quoted" \\ run', "ä\n\x00", "r1 r2", "%d%s"]
    key = await hands.subscribed(store, *(make.subscription(run) for run in runs))

    await store.publish("default", [make.event()])
    await hands.matched(store)

    assert sorted(await hands.events(store, len(runs))) == sorted((key.id, run, "e1") for run in runs)


async def test_a_shape_that_is_new_since_the_batch_was_received_is_matched(store, make, hands):
    """The keys that were computed first do not include those of the new subscription."""
    await hands.subscribed(store, make.subscription())
    await store.publish("default", [make.event("a", subject="7")])
    await hands.matched(store)
    await hands.messages(store)
    await store.publish("default", [make.event("b", subject="7")])
    batch = await store.receive_events(make.worker, 10, 0)
    await hands.subscribed(store, make.subscription("r2", make.entry(subject="7")), key=make.key("two"))

    await store.match(batch, keys_of)

    assert sorted(await hands.events(store, 2)) == [("one", "r1", "b"), ("two", "r2", "b")]


async def test_the_shapes_are_the_same_object_until_they_change(store, make, hands):
    seen: list[Any] = []

    async def shapes() -> Any:
        await store.publish("default", [make.event(f"e{len(seen)}")])

        def remember(shapes, event):
            seen.append(shapes)
            return keys_of(shapes, event)

        await store.match(await store.receive_events(make.worker, 10, 0), remember)
        return seen[-1]

    key = await hands.subscribed(store, make.subscription())
    first = await shapes()
    same = make.subscription("r2", make.entry(type="sent"))
    await store.commit(make.commit(key, after=1, subscriptions=(same,), subscriptions_closed=("r1",)))
    assert await shapes() is first
    assert first == ("type",)

    other = make.subscription("r2", make.entry(type="sent"), make.entry(subject="7"))
    await store.commit(make.commit(key, after=2, subscriptions=(other,)))
    second = await shapes()
    assert second == ("subject", "type")
    assert await shapes() is second
    await store.commit(make.commit(key, after=3, subscriptions=(same,)))
    assert await shapes() == first


# Matching


async def test_a_batch_that_is_matched_again_sends_nothing(store, make, hands):
    await hands.subscribed(store, make.subscription())
    await store.publish("default", [make.event("a"), make.event("b")])
    batch = await store.receive_events(make.worker, 10, 0)

    assert await store.match(batch, keys_of) == 2
    assert await store.match(batch, keys_of) == 0
    await store.publish("default", [make.event("c")])
    assert await hands.matched(store) == 1
    assert await store.match(batch, keys_of) == 0

    assert [id_ for *_, id_ in await hands.events(store, 3)] == ["a", "b", "c"]


async def test_a_late_batch_sends_nothing_to_later_subscriptions(store, make, hands):
    await store.publish("default", [make.event()])
    batch = await store.receive_events(make.worker, 10, 0)
    await store.match(batch, keys_of)
    await hands.subscribed(store, make.subscription())

    assert await store.match(batch, keys_of) == 0
    assert await hands.nothing_waits(store)


async def test_rival_consumers_send_each_event_once_and_in_order(store, other, make, hands):
    expected = []
    for n in range(20):
        key = await hands.subscribed(store, make.subscription(), key=make.key(f"x{n}"))
        expected.append(key.id)
    await store.publish("default", [make.event(f"e{n:03}") for n in range(100)])
    batches = [await store.receive_events(make.worker, limit, 0) for limit in (7, 30, 100, 100)]

    await asyncio.gather(*(by.match(batch, keys_of) for batch in batches for by in (store, other)))
    await hands.matched(other)

    received = await hands.events(store, 2_000)
    for id_ in expected:
        assert [event for execution, _, event in received if execution == id_] == [
            f"e{n:03}" for n in range(100)
        ]


async def test_only_one_consumer_at_a_time_gets_the_events_of_a_tenant(store, other, make):
    await store.publish("default", [make.event("a")])
    batch = await store.receive_events(make.worker, 10, 0)

    assert await other.receive_events(make.second_worker, 10, 0) is None
    assert await store.receive_events(make.worker, 10, 0) == batch
    await store.match(batch, keys_of)
    await store.publish("default", [make.event("b")])
    [event] = (await other.receive_events(make.second_worker, 10, 0)).events
    assert event.event["id"] == "b"

    await other.deregister(make.second_worker)
    async with asyncio.timeout(60):
        while not (batch := await store.receive_events(make.worker, 10, 0.1)):
            pass
    assert batch.events == (event,)


async def test_a_consumer_gets_the_events_that_it_holds_again(store, make):
    """It may have failed to match them, and another consumer of the same process asked meanwhile."""
    await store.publish("default", [make.event()])
    batch = await store.receive_events(make.worker, 10, 0)

    assert await store.receive_events(make.second_worker, 10, 0) is None
    assert await store.receive_events(make.worker, 10, 0) == batch


async def test_the_events_of_a_consumer_that_is_gone_go_to_another(adapter, store, other, make):
    await store.publish("default", [make.event()])
    await store.receive_events(make.worker, 10, 0)

    async with asyncio.timeout(60):
        while not (batch := await other.receive_events(make.second_worker, 10, 0)):
            adapter.clock.ahead += 0.4
            await other.heartbeat(make.second_worker)

    assert [each.event["id"] for each in batch.events] == ["e1"]


async def test_tenants_are_served_in_turn_and_kept_apart(store, make, hands):
    for tenant in ("default", "other", "third"):
        await hands.subscribed(store, make.subscription(), key=make.key("one", tenant))
        await store.publish(tenant, [make.event(f"{tenant}{n}") for n in range(10)])

    served = []
    while batch := await store.receive_events(make.worker, 5, 0):
        served.append(batch.tenant)
        await store.match(batch, keys_of)

    assert Counter(served) == {"default": 2, "other": 2, "third": 2}
    assert len(set(served[:3])) == 3
    deliveries = await hands.messages(store, 30)
    for tenant in ("default", "other", "third"):
        ids = [d.body.body["event"]["id"] for d in deliveries if d.tenant == tenant]
        assert ids == [f"{tenant}{n}" for n in range(10)]


async def many_runs(store, make, hands, executions: int, runs: int) -> list[tuple[str, str]]:
    """Subscribes many runs to the events of type `paid`; returns their executions and names."""
    found = []
    for n in range(executions):
        subscriptions = [make.subscription(f"r{run}") for run in range(runs)]
        key = await hands.subscribed(store, *subscriptions, key=make.key(f"x{n}"))
        found += [(key.id, subscription.run) for subscription in subscriptions]
    return found


async def test_an_event_that_ten_thousand_runs_wait_for_reaches_each_once(store, make, hands):
    runs = await many_runs(store, make, hands, 4, 2_500)
    await store.publish("default", [make.event("a"), make.event("b", "sent"), make.event("c", "lost")])

    assert await hands.matched(store) == 10_000

    received = await hands.events(store, 10_000)
    assert sorted(received) == sorted((*run, "a") for run in runs)


async def test_rivals_send_an_event_in_pieces_once(store, other, make, hands):
    runs = await many_runs(store, make, hands, 1, 5_000)
    await store.publish("default", [make.event("a"), make.event("b")])
    batch = await store.receive_events(make.worker, 10, 0)

    sent = await asyncio.gather(*(by.match(batch, keys_of) for by in (store, other, store, other)))

    assert sum(sent) == 10_000
    received = await hands.events(store, 10_000)
    assert Counter(received) == Counter((*run, id_) for run in runs for id_ in "ab")


async def test_calls_of_one_process_that_learn_of_a_subscription_meanwhile_lose_nothing(store, make, hands):
    """One of the calls learns what the keys of the events are computed from, while others begin."""
    for n in range(5):
        kind = f"kind{n}"
        entry = make.entry(**{"type": kind, kind: "1"})  # a new shape
        key = await hands.subscribed(store, make.subscription("r1", entry), key=make.key(kind))
        await store.publish("default", [make.event(f"{n}a", kind, **{kind: "1"})])
        batch = await store.receive_events(make.worker, 10, 0)

        calls = [asyncio.ensure_future(store.match(batch, keys_of))]
        while not calls[0].done() and len(calls) < 300:  # on a busy machine it would begin far too many
            await asyncio.sleep(0)
            calls.append(asyncio.ensure_future(store.match(batch, keys_of)))

        assert sum(await asyncio.gather(*calls)) == 1
        assert await hands.events(store, 1) == [(key.id, "r1", f"{n}a")]


async def test_a_late_batch_does_not_disturb_an_event_that_is_sent_in_pieces(store, make, hands):
    runs = await many_runs(store, make, hands, 1, 2_500)
    await store.publish("default", [make.event("a")])
    late = await store.receive_events(make.worker, 10, 0)
    await store.match(late, keys_of)
    await store.publish("default", [make.event("b")])
    batch = await store.receive_events(make.worker, 10, 0)

    sent = await asyncio.gather(*(store.match(each, keys_of) for each in (batch, late, batch)))

    assert sum(sent) == 2_500
    received = await hands.events(store, 5_000)
    assert Counter(received) == Counter((*run, id_) for run in runs for id_ in "ab")


async def test_subscriptions_that_change_while_an_event_is_sent_in_pieces_lose_and_double_nothing(
    store, make, hands
):
    """The matching stops between two pieces; then all runs are subscribed again, with another shape."""
    runs = await many_runs(store, make, hands, 1, 5_000)
    await store.publish("default", [make.event("a", subject="7")])
    batch = await store.receive_events(make.worker, 10, 0)
    received = []

    matching = asyncio.create_task(store.match(batch, keys_of))
    async with asyncio.timeout(60):
        while not received:
            received += await store.receive_messages(make.worker, 100, 0.01)
    matching.cancel()
    await asyncio.gather(matching, return_exceptions=True)
    again = [
        Subscription(run, ((make.entry(subject="7"), make.entry(type="paid"))[n % 2], make.entry(id="z")))
        for n, (_, run) in enumerate(runs)
    ]
    closed, reopened = again[:100], again[100:]
    closing = make.commit(
        make.key("x0"),
        after=1,
        subscriptions=tuple(reopened),
        subscriptions_closed=tuple(each.run for each in closed),
    )
    assert await store.commit(closing) is Outcome.COMMITTED
    await store.match(batch, keys_of)
    await hands.matched(store)

    while some := await store.receive_messages(make.worker, 1_000, 0.2):
        received += some
    times = Counter(delivery.body.body["run"] for delivery in received)
    assert {*times.values()} == {1}
    assert {each.run for each in reopened} <= {*times}


async def test_large_events_are_sent_in_smaller_pieces(store, make, hands):
    runs = await many_runs(store, make, hands, 1, 40)
    await store.publish("default", [make.event("a", data="x" * 300_000), make.event("b")])

    assert await hands.matched(store) == 80

    assert Counter(await hands.events(store, 80)) == Counter((*run, id_) for run in runs for id_ in "ab")


# Commits that publish, and that acknowledge events


async def test_a_commit_publishes_events_once_and_in_order(store, make, hands):
    key = await hands.started(store)
    outgoing = tuple(PublishEvent(make.event(f"e{n}")) for n in range(3))
    commit = make.commit(key, outgoing=outgoing)

    assert await store.commit(commit) is Outcome.COMMITTED
    assert await store.commit(commit) is Outcome.DUPLICATE
    await store.commit(make.commit(key, after=1, outgoing=(PublishEvent(make.event("e3")),)))
    refused = make.commit(key, commit_id="rival", outgoing=(PublishEvent(make.event("refused")),))
    assert await store.commit(refused) is Outcome.CONFLICT

    assert await store.deliver_outgoing() == 0
    published = await store.published_events("default")
    assert [each.event["id"] for each in published] == ["e0", "e1", "e2", "e3"]


@pytest.mark.parametrize("seconds", [0.0, 3600.0])
async def test_rival_deliverers_publish_once_and_in_the_order_of_each_sender(adapter, make, hands, seconds):
    settings = EventSettings(deduplication_seconds=seconds)
    if adapter.name == "memory":
        pytest.skip("a database in memory belongs to one store")
    store, other = (adapter.make(adapter.clock, settings) for _ in range(2))
    await store.open()
    await other.open()
    senders = [await hands.started(store, make.key(f"sender{n}")) for n in range(4)]

    async def commit(n: int) -> None:
        for version in range(15):
            outgoing = (
                PublishEvent(make.event(f"{n}-{version:02}")),
                PublishEvent(make.event(f"{n}-{version:02}b")),
            )
            by = (store, other)[version % 2]
            assert await by.commit(make.commit(senders[n], after=version, outgoing=outgoing)) == "committed"

    async def relay() -> None:
        while True:
            await other.deliver_outgoing()
            await asyncio.sleep(0)  # on SQLite there is nothing to deliver, so the call does not wait

    async with repeating(relay()):
        await asyncio.gather(*(commit(n) for n in range(4)))

    ids = [each.event["id"] for each in await store.published_events("default", limit=1_000)]
    for n in range(4):
        of_sender = [id_ for id_ in ids if id_.startswith(f"{n}-")]
        assert of_sender == [f"{n}-{version:02}{b}" for version in range(15) for b in ("", "b")]
    await store.close()
    await other.close()


async def test_a_commit_can_publish_and_subscribe_and_send_at_once(store, make, hands):
    key = await hands.started(store)
    [event] = outgoing = (PublishEvent(make.event()),)
    commit = make.commit(
        key,
        outgoing=outgoing,
        subscriptions=(make.subscription(),),
        messages=(make.message(key.id, MessageKind.CONTINUE),),
    )

    assert await store.commit(commit) is Outcome.COMMITTED

    await store.acknowledge(await hands.messages(store))
    assert await hands.matched(store) == 1  # it was not matched before the subscription was opened
    assert await hands.events(store, 1) == [(key.id, "r1", event.event["id"])]


async def test_an_event_is_consumed_by_one_commit(store, make, hands):
    key = await hands.subscribed(store, make.subscription())
    await store.publish("default", [make.event("a"), make.event("b")])
    await hands.matched(store)
    first, second = await hands.messages(store, 2)
    consumes = make.commit(key, after=1, acknowledges=(first,))
    assert await store.commit(consumes) is Outcome.COMMITTED
    assert await store.commit(consumes) is Outcome.DUPLICATE

    late = make.commit(
        key,
        after=2,
        acknowledges=(second, first),
        tasks=(make.task(),),
        subscriptions_closed=("r1",),
        outgoing=(PublishEvent(make.event("c")),),
    )
    assert await store.commit(late) is Outcome.ANSWERED

    assert len(await store.history(key)) == 2
    assert not await store.receive_tasks(make.executor, 10, 0)
    await store.release([second])
    [again] = await hands.messages(store)
    assert again.body == second.body
    assert await store.commit(make.commit(key, after=2, acknowledges=(again,))) is Outcome.COMMITTED
    stale = make.commit(key, after=1, commit_id="stale", acknowledges=(again,))
    assert await store.commit(stale) is Outcome.CONFLICT
    assert [each.event["id"] for each in await store.published_events("default")] == ["a", "b"]


async def test_a_refused_event_does_not_affect_other_commits_of_the_batch(store, make, hands):
    keys = [await hands.subscribed(store, make.subscription(), key=make.key(f"x{n}")) for n in range(10)]
    await store.publish("default", [make.event()])
    await hands.matched(store)
    deliveries = {d.key: d for d in await hands.messages(store, 10)}
    await store.acknowledge([deliveries[key] for key in keys[::2]])

    commits = [make.commit(key, after=1, acknowledges=(deliveries[key],)) for key in keys]

    assert await store.commit_all(commits) == [Outcome.ANSWERED, Outcome.COMMITTED] * 5


async def test_other_messages_may_be_acknowledged_before(store, make, hands):
    assert await store.start(make.start())
    [start] = await hands.messages(store)
    await store.acknowledge([start])

    assert await store.commit(make.commit(acknowledges=(start,))) is Outcome.COMMITTED


async def test_events_are_consumed_in_the_order_of_the_bus(store, make, hands):
    """A message that was released comes behind later ones; so does one that another consumer has had."""
    key = await hands.subscribed(store, make.subscription(), make.subscription("r2"))
    await store.publish("default", [make.event("a"), make.event("b"), make.event("c")])
    await hands.matched(store)
    deliveries = {
        (each.body.body["event"]["id"], each.body.body["run"]): each
        for each in await hands.messages(store, 6)
    }
    a1, a2, b1, b2, c1, c2 = (deliveries[id_, run] for id_ in "abc" for run in ("r1", "r2"))

    early = make.commit(key, after=1, acknowledges=(b1, a2), tasks=(make.task(),))
    assert await store.commit(early) is Outcome.EARLY
    assert len(await store.history(key)) == 1
    assert not await store.receive_tasks(make.executor, 10, 0)
    in_turn = make.commit(key, after=1, commit_id="in turn", acknowledges=(a2, a1))
    assert await store.commit(in_turn) is Outcome.COMMITTED
    await store.release([b1, b2])
    assert await store.commit(make.commit(key, after=2, acknowledges=(c1,))) is Outcome.EARLY
    again = await hands.messages(store, 2)
    orders = {each.body.body["order"] for each in again}
    assert orders == {each.body.body["order"] for each in (b1, b2)}
    [refused] = [each for each in again if each.body.body["run"] == "r1"]
    [left] = [each for each in again if each.body.body["run"] == "r2"]
    await store.acknowledge([refused])
    assert await store.commit(make.commit(key, after=2, commit_id="x", acknowledges=(c1,))) is Outcome.EARLY
    await store.move_to_dead_letters(left, "boom", "at …")
    last = make.commit(key, after=2, commit_id="y", acknowledges=(c2, c1))
    assert await store.commit(last) is Outcome.COMMITTED


async def test_a_requeued_event_is_consumed_after_later_ones(store, make, hands):
    key = await hands.subscribed(store, make.subscription())
    await store.publish("default", [make.event("a"), make.event("b")])
    await hands.matched(store)
    first, second = await hands.messages(store, 2)
    letter = await store.move_to_dead_letters(first, "boom", "at …")
    assert await store.commit(make.commit(key, after=1, acknowledges=(second,))) is Outcome.COMMITTED

    await store.requeue("default", letter)
    [again] = await hands.messages(store)

    assert await store.commit(make.commit(key, after=2, acknowledges=(again,))) is Outcome.COMMITTED


@pytest.mark.parametrize("then", ["discarded", "requeued", "moved again"])
async def test_later_events_do_not_wait_for_a_dead_letter(store, make, hands, then):
    key = await hands.subscribed(store, make.subscription())
    await store.publish("default", [make.event("a"), make.event("b")])
    await hands.matched(store)
    first, second = await hands.messages(store, 2)
    letter = await store.move_to_dead_letters(first, "boom", "at …")
    if then == "discarded":
        assert await store.discard("default", letter)
    else:
        assert await store.requeue("default", letter)
        [again] = await hands.messages(store)
        if then == "moved again":
            await store.move_to_dead_letters(again, "boom", "at …")

    assert await store.commit(make.commit(key, after=1, acknowledges=(second,))) is Outcome.COMMITTED
    if then == "requeued":
        assert await store.commit(make.commit(key, after=2, acknowledges=(again,))) is Outcome.COMMITTED


async def test_the_events_of_one_execution_do_not_delay_others(store, make, hands):
    keys = [await hands.subscribed(store, make.subscription(), key=make.key(id_)) for id_ in ("x", "x.y")]
    await store.publish("default", [make.event("a"), make.event("b")])
    await hands.matched(store)
    deliveries = await hands.messages(store, 4)
    by_key = {key: [each for each in deliveries if each.key == key] for key in keys}

    commits = [
        make.commit(keys[0], after=1, acknowledges=by_key[keys[0]][1:]),
        make.commit(keys[1], after=1, acknowledges=by_key[keys[1]][:1]),
    ]
    assert await store.commit_all(commits) == [Outcome.EARLY, Outcome.COMMITTED]
