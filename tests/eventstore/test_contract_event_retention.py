"""Runs that look back: they are offered retained events, once and in order (DESIGN §9)."""

import asyncio
from collections import Counter

import pytest
from tests.background import repeating
from tests.eventstore.conftest import keys_of

from unspool.eventstore.consumers import Consumer
from unspool.eventstore.event_bus import KEPT_EVENTS
from unspool.eventstore.event_settings import EventSettings
from unspool.eventstore.published_events import CloudEvent, Shapes, Subscription
from unspool.eventstore.results import Outcome

STUCK_SECONDS = 60.0
RETENTION = EventSettings(retention_seconds=3_600)


@pytest.fixture
async def store(adapter):
    """A store that retains events."""
    opened = adapter.make(adapter.clock, RETENTION)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def other(adapter, store):
    """A second store on the database of `store`."""
    if adapter.name == "memory":
        pytest.skip("a database in memory belongs to one store")
    opened = adapter.make(adapter.clock, RETENTION)
    await opened.open()
    yield opened
    await opened.close()


def looking_back(make, run: str = "r1", **attributes: str) -> Subscription:
    entry = make.entry(**(attributes or {"type": "paid"}))
    return Subscription(run, (entry,), look_back=True)


async def published(store, make, hands, *ids: str, **attributes) -> None:
    """Publishes events and matches them."""
    await store.publish("default", [make.event(id_, **attributes) for id_ in ids])
    await hands.matched(store)


async def got(store, hands, count: int) -> list[str]:
    return [id_ for *_, id_ in await hands.events(store, count)]


async def test_a_run_that_looks_back_gets_earlier_events_once_and_in_order(store, make, hands):
    await published(store, make, hands, "a", "b")
    await store.publish("default", [make.event("c", "sent"), make.event("d")])
    await hands.matched(store)
    await store.publish("default", [make.event("e")])  # not matched before the subscription

    await hands.subscribed(store, looking_back(make))
    await store.publish("default", [make.event("f")])

    assert await hands.matched(store) == 5
    assert await got(store, hands, 5) == ["a", "b", "d", "e", "f"]
    assert await hands.matched(store) == 0
    await published(store, make, hands, "g")
    assert await got(store, hands, 1) == ["g"]


async def test_only_events_with_one_of_its_keys_are_offered(store, make, hands):
    await store.publish("default", [make.event(f"e{n}", subject=str(n % 3)) for n in range(9)])
    await hands.matched(store)

    await hands.subscribed(store, looking_back(make, type="paid", subject="1"))

    await hands.matched(store)
    assert await got(store, hands, 3) == ["e1", "e4", "e7"]


async def test_without_a_look_back_no_earlier_event_is_offered(store, make, hands):
    await published(store, make, hands, "a")
    await hands.subscribed(store, make.subscription())

    assert await hands.matched(store) == 0
    assert await hands.nothing_waits(store)


async def test_a_subscription_that_replaces_another_does_not_look_back(store, make, hands):
    key = await hands.subscribed(store, make.subscription())
    await store.publish("default", [make.event("a"), make.event("b", "sent")])
    await hands.matched(store)
    assert await got(store, hands, 1) == ["a"]
    await store.commit(
        make.commit(key, after=1, subscriptions=(make.subscription("r1", make.entry(type="sent")),))
    )

    assert await hands.matched(store) == 0


async def test_a_replaced_subscription_still_gets_what_it_was_to_be_offered(store, make, hands):
    await published(store, make, hands, "a", "b")
    key = await hands.subscribed(store, looking_back(make))
    narrower = make.subscription("r1", make.entry(type="paid"), make.entry(type="sent"))
    await store.commit(make.commit(key, after=1, subscriptions=(narrower,)))

    await hands.matched(store)

    assert await got(store, hands, 2) == ["a", "b"]


async def test_without_retention_no_earlier_event_is_offered(adapter, make, hands):
    store = adapter.make(adapter.clock)
    await store.open()
    await published(store, make, hands, "a")
    await hands.subscribed(store, looking_back(make))

    assert await hands.matched(store) == 0
    await published(store, make, hands, "b")
    assert await got(store, hands, 1) == ["b"]
    await store.close()


async def test_older_events_are_not_offered(adapter, make, hands):
    store = adapter.make(adapter.clock, EventSettings(retention_seconds=0.2))
    await store.open()
    await published(store, make, hands, "a")
    published_at = await store.now()
    while await store.now() <= published_at + 201:
        await asyncio.sleep(0.01)

    await hands.subscribed(store, looking_back(make))

    assert await hands.matched(store) == 0
    await store.close()


async def test_events_are_not_offered_if_nothing_says_whether_they_were_consumed(adapter, make, hands):
    """One was consumed before events were retained; the store has not noted which."""
    if adapter.name == "memory":
        pytest.skip("a database in memory belongs to one store")
    store = adapter.make(adapter.clock)
    await store.open()
    key = await hands.subscribed(store, make.subscription())
    await published(store, make, hands, "a", "b")
    first, _ = await hands.messages(store, 2)
    event = first.body.body["event"]
    await store.commit(make.commit(key, after=1, acknowledges=(first,), consumed=(event,)))
    consumed_at = await store.now()
    while await store.now() <= consumed_at + 1:
        await asyncio.sleep(0.001)
    await published(store, make, hands, "c")
    await store.close()
    store = adapter.make(adapter.clock, RETENTION)
    await store.open()

    await store.commit(make.commit(key, after=2, subscriptions=(looking_back(make, "r2"),)))

    assert await hands.matched(store) == 1
    await store.close()


async def test_a_longer_retention_does_not_offer_what_was_forgotten(adapter, make, hands):
    if adapter.name == "memory":
        pytest.skip("a database in memory belongs to one store")
    store = adapter.make(adapter.clock, EventSettings(retention_seconds=0.1))
    await store.open()
    key = await hands.subscribed(store, make.subscription())
    await published(store, make, hands, "a")
    [first] = await hands.messages(store)
    consumed = (first.body.body["event"],)
    await store.commit(make.commit(key, after=1, acknowledges=(first,), consumed=consumed))
    consumed_at = await store.now()
    while await store.now() <= consumed_at + 101:
        await asyncio.sleep(0.01)
    await published(store, make, hands, "b")
    [second] = await hands.messages(store)
    consumed = (second.body.body["event"],)
    await store.commit(make.commit(key, after=2, acknowledges=(second,), consumed=consumed))
    await store.close()
    store = adapter.make(adapter.clock, RETENTION)
    await store.open()

    await store.commit(make.commit(key, after=3, subscriptions=(looking_back(make, "r2"),)))

    assert await hands.matched(store) == 0
    await store.close()


# What an execution has consumed


async def test_an_event_that_the_execution_has_consumed_is_not_offered_again(store, make, hands):
    key = await hands.subscribed(store, make.subscription())
    await published(store, make, hands, "a", "b", "c")
    first, second, third = await hands.messages(store, 3)
    consumes = make.commit(
        key,
        after=1,
        acknowledges=(first,),
        consumed=(first.body.body["event"],),
        subscriptions_closed=("r1",),
    )
    await store.commit(consumes)
    await store.acknowledge([second, third])  # the first run has ended, so it refuses them

    opens = make.commit(key, after=2, subscriptions=(looking_back(make, "r2"),))
    await store.commit(opens)
    await hands.matched(store)

    assert await hands.events(store, 2) == [(key.id, "r2", "b"), (key.id, "r2", "c")]


async def test_a_commit_can_consume_an_event_and_look_back(store, make, hands):
    key = await hands.subscribed(store, make.subscription())
    await published(store, make, hands, "a", "b")
    first, second = await hands.messages(store, 2)
    await store.commit(
        make.commit(
            key,
            after=1,
            acknowledges=(first,),
            consumed=(first.body.body["event"],),
            subscriptions_closed=("r1",),
            subscriptions=(looking_back(make, "r2"),),
        )
    )
    await store.acknowledge([second])

    await hands.matched(store)

    assert await hands.events(store, 1) == [(key.id, "r2", "b")]


async def test_an_event_that_is_consumed_without_another_change_is_not_offered_again(store, make, hands):
    key = await hands.subscribed(store, make.subscription())
    await published(store, make, hands, "a")
    [first] = await hands.messages(store)
    event = first.body.body["event"]
    await store.commit(make.commit(key, after=1, acknowledges=(first,), consumed=(event,)))
    await store.commit(make.commit(key, after=2, subscriptions=(looking_back(make, "r2"),)))

    assert await hands.matched(store) == 0


async def test_what_one_execution_consumes_is_offered_to_others(store, make, hands):
    key = await hands.subscribed(store, make.subscription())
    await published(store, make, hands, "a")
    [first] = await hands.messages(store)
    await store.commit(make.commit(key, after=1, acknowledges=(first,), consumed=(first.body.body["event"],)))

    late = await hands.subscribed(store, looking_back(make), key=make.key("late"))

    await hands.matched(store)
    assert await hands.events(store, 1) == [(late.id, "r1", "a")]


# What an execution consumes while others of its runs look back


async def holding(store, make, hands, *ids: str):
    """An execution whose run `r0` has these events in its inbox; its key, and their messages."""
    key = await hands.subscribed(store, make.subscription("r0"))
    await published(store, make, hands, *ids)
    return key, await hands.messages(store, len(ids))


def consuming(make, key, after: int, *messages, **changes):
    """A commit that consumes events."""
    consumed = tuple(each.body.body["event"] for each in messages)
    return make.commit(key, after=after, acknowledges=messages, consumed=consumed, **changes)


async def test_a_run_gets_what_its_execution_consumes_after_it_began_to_look_back(store, make, hands):
    key, [first] = await holding(store, make, hands, "a")
    await store.commit(make.commit(key, after=1, subscriptions=(looking_back(make, "r1"),)))
    await store.commit(consuming(make, key, 2, first))
    await store.commit(make.commit(key, after=3, subscriptions=(looking_back(make, "r2"),)))

    assert await hands.matched(store) == 1
    assert await hands.events(store, 1) == [(key.id, "r1", "a")]


async def test_all_runs_that_look_back_together_get_an_event(store, make, hands):
    """One of them consumes it before it is offered to the others."""
    await published(store, make, hands, "a")
    runs = ["r1", "r2", "r3"]
    key = await hands.subscribed(store, *(looking_back(make, run) for run in runs))
    await store.commit(make.commit(key, after=1, consumed=(make.event("a"),)))

    assert await hands.matched(store) == 3
    assert sorted(await hands.events(store, 3)) == [(key.id, run, "a") for run in runs]


@pytest.mark.parametrize("consumed_first", [False, True])
async def test_the_order_of_the_commits_of_one_call_decides(store, make, hands, consumed_first):
    """They have the same time."""
    key, [first] = await holding(store, make, hands, "a")
    opened = (looking_back(make, "r1"),)
    commits = [make.commit(key, after=1, subscriptions=opened), consuming(make, key, 2, first)]
    if consumed_first:
        commits = [consuming(make, key, 1, first), make.commit(key, after=2, subscriptions=opened)]
    assert await store.commit_all(commits) == [Outcome.COMMITTED] * 2

    assert await hands.matched(store) == (0 if consumed_first else 1)


async def test_a_commit_says_which_events_it_consumes_after_it_opens_a_subscription(store, make, hands):
    key, messages = await holding(store, make, hands, "a", "b", "c")
    consumed = tuple(each.body.body["event"] for each in (*messages, messages[0]))  # the first one twice
    opened = tuple(looking_back(make, f"r{count}")._replace(consumed_later=count) for count in range(4))
    changes = {"count": 4, "acknowledges": messages, "consumed": consumed, "subscriptions": opened}
    assert await store.commit(make.commit(key, after=1, **changes)) is Outcome.COMMITTED

    assert await hands.matched(store) == 3
    expected = [("r2", "c"), ("r3", "b"), ("r3", "c")]
    assert sorted(await hands.events(store, 3)) == [(key.id, *each) for each in expected]


async def test_an_event_that_is_consumed_again_during_a_look_back_was_consumed_before(store, make, hands):
    key, [first] = await holding(store, make, hands, "a")
    await store.commit(consuming(make, key, 1, first))
    await store.commit(make.commit(key, after=2, subscriptions=(looking_back(make, "r1"),)))
    await store.commit(make.commit(key, after=3, consumed=(first.body.body["event"],)))

    assert await hands.matched(store) == 0


async def test_an_event_that_is_consumed_again_in_the_commit_that_looks_back_was_consumed_before(
    store, make, hands
):
    key, [first] = await holding(store, make, hands, "a")
    await published(store, make, hands, "b")
    await store.commit(consuming(make, key, 1, first))
    again = (first.body.body["event"],)
    opened = (looking_back(make, "r1")._replace(consumed_later=1), looking_back(make, "r2"))
    commits = [
        make.commit(key, after=2, consumed=again, subscriptions=opened, subscriptions_closed=("r0",)),
        make.commit(key, after=3, consumed=(make.event("b"),)),  # at the same time
    ]
    assert await store.commit_all(commits) == [Outcome.COMMITTED] * 2

    await hands.matched(store)
    offered = [(run, id_) for _, run, id_ in await hands.events(store, 3)]
    assert sorted(offered) == [("r0", "b"), ("r1", "b"), ("r2", "b")]


async def test_each_of_many_events_of_a_commit_has_its_own_place(store, make, hands):
    ids = [f"e{n:02}" for n in range(30)]
    await published(store, make, hands, *ids)
    key = await hands.subscribed(store)
    consumed = tuple(make.event(id_) for id_ in ids)
    opened = [looking_back(make, f"r{n:02}")._replace(consumed_later=30 - n) for n in range(30)]
    changes = {"count": 30, "consumed": consumed, "subscriptions": tuple(opened)}
    assert await store.commit(make.commit(key, after=1, **changes)) is Outcome.COMMITTED

    sent = await hands.matched(store)
    expected = [(f"r{n:02}", id_) for n in range(30) for id_ in ids[n:]]
    assert sorted((run, id_) for _, run, id_ in await hands.events(store, sent)) == expected


async def test_an_event_that_is_consumed_again_after_it_was_forgotten_is_not_offered(adapter, make, hands):
    store = adapter.make(adapter.clock, EventSettings(retention_seconds=0.3, deduplication_seconds=0.1))
    await store.open()
    await published(store, make, hands, "a")
    key = await hands.subscribed(store)
    event = (make.event("a"),)
    await store.commit(make.commit(key, after=1, consumed=event))
    consumed_at = await store.now()
    while await store.now() <= consumed_at + 301:
        await asyncio.sleep(0.01)
    await published(store, make, hands, "a")
    opened = (looking_back(make, "r1", type="sent")._replace(consumed_later=1),)
    await store.commit(make.commit(key, after=2, consumed=event, subscriptions=opened))
    await store.commit(make.commit(key, after=3, subscriptions=(looking_back(make, "r2"),)))

    assert await hands.matched(store) == 0
    await store.close()


# Crashes and rivals


async def test_a_look_back_outlives_the_process_that_opened_it(store, other, make, hands):
    await published(store, make, hands, "a", "b")
    await hands.subscribed(store, looking_back(make))
    await store.close()

    async with asyncio.timeout(60):
        while not (batch := await other.receive_events(make.second_worker, 10, 1)):
            pass

    assert await other.match(batch, keys_of) == 2
    assert await got(other, hands, 2) == ["a", "b"]


async def test_a_consumer_that_waits_serves_a_look_back_at_once(store, other, make, hands):
    await published(store, make, hands, "a")
    waiting = asyncio.create_task(store.receive_events(make.worker, 10, 30))
    await asyncio.wait([waiting], timeout=0.1)

    await hands.subscribed(other, looking_back(make))

    async with asyncio.timeout(25):
        batch = await waiting
    assert batch.events == ()
    assert await store.match(batch, keys_of) == 1


async def test_a_closed_subscription_is_offered_nothing(store, make, hands):
    await published(store, make, hands, "a")
    key = await hands.subscribed(store, looking_back(make))
    await store.commit(make.commit(key, after=1, subscriptions_closed=("r1",)))

    assert await hands.matched(store) == 0
    assert await hands.nothing_waits(store)


async def test_a_late_batch_serves_a_look_back_first(store, make, hands):
    """The batch was received before the subscription was opened, and is matched after it."""
    await published(store, make, hands, "a")
    await store.publish("default", [make.event("b")])
    batch = await store.receive_events(make.worker, 10, 0)
    await hands.subscribed(store, looking_back(make))

    assert await store.match(batch, keys_of) == 2
    assert await got(store, hands, 2) == ["a", "b"]
    assert await store.match(batch, keys_of) == 0


async def test_rivals_offer_each_event_once_and_in_order(store, other, make, hands):
    """Runs look back while events are published, and while two processes match them."""
    ids = [f"e{n:03}" for n in range(350)]  # several pages
    await published(store, make, hands, *ids[:250])

    async def match(by, consumer) -> None:
        while True:
            batch = await by.receive_events(consumer, 10, 0.01)
            if batch:
                await asyncio.gather(store.match(batch, keys_of), other.match(batch, keys_of))

    received: dict[str, list[str]] = {f"x{at}": [] for at in range(250, 350, 10)}
    async with (
        repeating(match(store, make.worker), match(other, make.second_worker)),
        asyncio.timeout(STUCK_SECONDS) as stuck,
    ):
        for at in range(250, 350, 10):
            await store.publish("default", [make.event(id_) for id_ in ids[at : at + 10]])
            key = make.key(f"x{at}")
            assert await store.start(make.start(key))
            committed = await other.commit(make.commit(key, subscriptions=(looking_back(make),)))
            assert committed is Outcome.COMMITTED
        while sum(map(len, received.values())) < 3_500:
            messages = await store.receive_messages(make.worker, 100, 0.1)
            for each in messages:
                if each.body.kind == "event":
                    received[each.body.execution].append(each.body.body["event"]["id"])
            if messages:
                stuck.reschedule(asyncio.get_running_loop().time() + STUCK_SECONDS)
            elif stuck.when() - asyncio.get_running_loop().time() < STUCK_SECONDS / 2:
                pytest.fail(await whereabouts(store, make, ids, received))
    await hands.matched(store)

    assert await store.receive_messages(make.worker, 100, 0.1) == []
    assert received == {f"x{at}": ids for at in range(250, 350, 10)}


async def whereabouts(store, make, ids: list[str], received: dict[str, list[str]]) -> str:
    """Where the events are that a test still waits for."""
    missing = {id_: sorted({*ids}.difference(got)) for id_, got in received.items()}
    held = await store.reclaim_messages(make.second_worker, 10_000, 0)
    shapes = await store.shapes("default")
    newest = await store.published_events("default", limit=1)
    batch = await store.receive_events(Consumer("workers", "w3"), 10, 0)
    return f"{missing=} held={Counter(each.body.kind for each in held)} {shapes=} {newest=} {batch=}"


async def test_a_call_that_learns_of_a_new_shape_during_a_look_back_loses_nothing(store, make, hands):
    """One call serves a look back; meanwhile another call of the process learns of the new shape."""
    await published(store, make, hands, "a")
    await store.publish("default", [make.event("b"), make.event("c")])
    first = await store.receive_events(make.worker, 1, 0)
    both = await store.receive_events(make.worker, 2, 0)
    await hands.subscribed(store, looking_back(make))
    meanwhile: list[asyncio.Future[int]] = []

    def keys_of_and_call(shapes: Shapes, event: CloudEvent) -> list[str]:
        if not meanwhile:
            meanwhile.append(asyncio.ensure_future(store.match(first, keys_of)))
        return keys_of(shapes, event)

    sent = await store.match(both, keys_of_and_call)

    assert sent + await meanwhile[0] == 3
    assert await got(store, hands, 3) == ["a", "b", "c"]


async def test_a_bus_keeps_retained_events(store, make, hands):
    await store.publish("default", [make.event(f"e{n}") for n in range(KEPT_EVENTS + 300)])
    await hands.matched(store)

    kept = await store.published_events("default", limit=5_000)
    assert Counter(each.event["type"] for each in kept)["paid"] == KEPT_EVENTS + 300
