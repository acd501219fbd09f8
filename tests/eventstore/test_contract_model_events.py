"""Every adapter publishes and matches events as a small model does, for random operations in random order."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.eventstore.conftest import keys_of

from unspool.eventstore.consumers import Consumer
from unspool.eventstore.events import Event
from unspool.eventstore.published_events import CloudEvent, EventBatch, IndexEntry, Subscription
from unspool.eventstore.records import (
    Commit,
    Delivery,
    ExecutionKey,
    MessageKind,
    PublishEvent,
    Start,
    WorkflowRef,
)
from unspool.eventstore.results import Outcome

TENANTS = ("default", "other")
KEYS = [ExecutionKey(tenant, id_) for tenant in TENANTS for id_ in ("a", "b", "c")]
RUNS = ("r1", "r2")
ENTRIES = (
    IndexEntry("type", "type=a"),
    IndexEntry("type", "type=b"),
    IndexEntry("type,subject", "type=a,subject=1"),
    IndexEntry("subject", "subject=2"),
)
WORKERS = [Consumer("workers", name) for name in ("w1", "w2")]
LARGE = 600_000
"""Size of the data of events that are sent in pieces: to one run at a time."""

Run = tuple[ExecutionKey, str]


def _event(id_: int, type_: str, subject: str, size: int = 1) -> CloudEvent:
    names = {"specversion": "1.0", "source": "/model", "id": str(id_), "type": type_, "subject": subject}
    return {**names, "data": "x" * size}


events = st.builds(
    _event,
    st.integers(0, 40),
    st.sampled_from("abc"),
    st.sampled_from("123"),
    st.sampled_from([*range(1, 12), LARGE]),
)
runs = st.lists(st.tuples(st.sampled_from(RUNS), st.sets(st.sampled_from(ENTRIES), min_size=1)), max_size=2)
picks = st.lists(st.integers(0, 9), max_size=3)


@dataclass
class Offer:
    """An `event` message that is not answered."""

    run: Run
    id: str
    """Of the event."""
    holder: Consumer | None = None
    delivery: Delivery | None = None
    released: bool = False
    """Then it may come behind later ones."""

    @property
    def fact(self) -> tuple[Run, str]:
        """What a delivery of it has."""
        return self.run, self.id


def chosen(items: list, numbers: list[int]) -> list:
    """Returns some of the items, each once. The numbers choose them."""
    return [items[i] for i in sorted({number % len(items) for number in numbers})] if items else []


class Events(RuleBasedStateMachine):
    """Does the same to the model, kept in this object, and to a store."""

    adapter: Any = None

    @initialize()
    def begin(self) -> None:
        self.bus: dict[str, list[CloudEvent]] = {tenant: [] for tenant in TENANTS}
        self.matched = dict.fromkeys(TENANTS, 0)
        self.subscriptions: dict[Run, frozenset[IndexEntry]] = {}
        self.versions = dict.fromkeys(KEYS, 0)
        self.offers: list[Offer] = []
        self.answered: list[Offer] = []
        self.batches: list[tuple[EventBatch, int]] = []
        self.last: Commit | None = None
        self.number = 0
        self.adapter.erase()
        self.runner = asyncio.Runner()
        self.store = self.adapter.make(self.adapter.clock)
        self.does(self.store.open())
        for key in KEYS:
            start = Start(key, WorkflowRef("n", "w", "1.0.0"), None, 0)
            assert self.does(self.store.start(start))
        self.does(self.store.acknowledge(self.receive(WORKERS[0], len(KEYS))))
        for key in KEYS:  # so that most events are offered to some runs
            subscriptions = tuple(Subscription(run, ENTRIES[:2]) for run in RUNS)
            self.commit_and_compare(self.next_commit(key, subscriptions=subscriptions), [])
        for tenant in TENANTS:
            self.publish(tenant, [_event(100, "a", "1"), _event(101, "b", "2")])

    def does(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(coroutine)

    def teardown(self) -> None:
        if not hasattr(self, "store"):
            return
        try:
            self.everything_is_matched()
            self.take(WORKERS[0])
            self.compare_bus()
        finally:
            self.does(self.store.close())
            self.runner.close()

    # The bus

    @rule(tenant=st.sampled_from(TENANTS), some=st.lists(events, max_size=4))
    def publish(self, tenant: str, some: list[CloudEvent]) -> None:
        assert self.does(self.store.publish(tenant, some)) == self.append(tenant, some)

    def append(self, tenant: str, some: list[CloudEvent]) -> int:
        """Appends the events to the model whose ids are new; returns how many."""
        bus = self.bus[tenant]
        before = len(bus)
        for event in some:
            if event["id"] not in {each["id"] for each in bus}:
                bus.append(event)
        return len(bus) - before

    @rule()
    def compare_bus(self) -> None:
        for tenant in TENANTS:
            published = self.does(self.store.published_events(tenant))
            assert [each.event for each in published] == self.bus[tenant][-100:]

    @rule(limit=st.integers(1, 5))
    def receive_events(self, limit: int) -> None:
        batch = self.does(self.store.receive_events(WORKERS[0], limit, 0))
        if batch is None:
            assert all(self.matched[tenant] == len(self.bus[tenant]) for tenant in TENANTS)
            return
        first = self.matched[batch.tenant]
        assert batch.events
        expected = self.bus[batch.tenant][first : first + limit]
        assert [each.event for each in batch.events] == expected
        self.batches.append((batch, first))

    @precondition(lambda self: self.batches)
    @rule(number=st.integers(0, 9))
    def match(self, number: int) -> None:
        """Matches the events of an old batch that were not matched before."""
        for batch, first in chosen(self.batches, [number]):
            sent = self.does(self.store.match(batch, keys_of))
            assert sent == self.offer(batch, first)

    @precondition(lambda self: self.batches)
    @rule(number=st.integers(0, 9), steps=st.integers(1, 12))
    def match_after_a_break(self, number: int, steps: int) -> None:
        """The first call is cancelled at any point, perhaps between two pieces of an event."""
        for batch, first in chosen(self.batches, [number]):
            self.does(self.broken_off(self.store.match(batch, keys_of), steps))
            self.does(self.store.match(batch, keys_of))
            self.offer(batch, first)

    async def broken_off(self, call: Coroutine[Any, Any, Any], steps: int) -> None:
        task = asyncio.create_task(call)
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def offer(self, batch: EventBatch, first: int) -> int:
        """Offers the events of a batch to the subscriptions of the model; returns how many offers."""
        tenant, last = batch.tenant, first + len(batch.events)
        new = self.bus[tenant][max(first, self.matched[tenant]) : last]
        self.matched[tenant] = max(self.matched[tenant], last)
        before = len(self.offers)
        for event in new:
            for run, entries in self.subscriptions.items():
                shapes = tuple({entry.shape for entry in entries})
                if run[0].tenant == tenant and {entry.key for entry in entries} & {*keys_of(shapes, event)}:
                    self.offers.append(Offer(run, event["id"]))
        return len(self.offers) - before

    def everything_is_matched(self) -> None:
        while any(self.matched[tenant] < len(self.bus[tenant]) for tenant in TENANTS):
            self.receive_events(100)
            self.match(len(self.batches) - 1)
            self.batches = self.batches[-1:]

    # Commits

    @rule(
        key=st.sampled_from(KEYS),
        off=st.sampled_from([0, 0, 0, 0, 1]),
        opened=runs,
        closed=st.sets(st.sampled_from(RUNS), max_size=1),
        published=st.lists(events, max_size=2),
        acknowledged=picks,
    )
    def commit(self, key, off, opened, closed, published, acknowledged) -> None:
        acks = chosen([offer for offer in self.offers if offer.run[0] == key and offer.holder], acknowledged)
        commit = self.next_commit(
            key,
            off,
            outgoing=tuple(PublishEvent(event) for event in published),
            subscriptions=tuple(Subscription(run, tuple(entries)) for run, entries in dict(opened).items()),
            subscriptions_closed=tuple(closed - {run for run, _ in opened}),
            acknowledges=tuple(offer.delivery for offer in acks),
        )
        self.commit_and_compare(commit, acks)

    @precondition(lambda self: self.answered)
    @rule(number=st.integers(0, 9))
    def commit_an_answered_event(self, number: int) -> None:
        [offer] = chosen(self.answered, [number])
        commit = self.next_commit(offer.run[0], acknowledges=(offer.delivery,))
        self.commit_and_compare(commit, [offer])

    def next_commit(self, key: ExecutionKey, off: int = 0, **changes: Any) -> Commit:
        """Returns a commit of one event; with `off`, its version is not the expected one."""
        self.number += 1
        expected = self.versions[key] + off
        event = Event(expected + 1, "task.completed", 5, "/do/0/t", None, {})
        return Commit(
            key=key, commit_id=f"c{self.number}", expected_version=expected, events=(event,), **changes
        )

    def commit_and_compare(self, commit: Commit, acks: list[Offer]) -> None:
        outcome = self.does(self.store.commit(commit))
        if commit.expected_version != self.versions[commit.key]:
            assert outcome is Outcome.CONFLICT
        elif any(offer in self.answered for offer in acks):
            assert outcome is Outcome.ANSWERED
        else:
            assert outcome in self.outcomes(commit.key, acks)
        if outcome is Outcome.COMMITTED:
            self.apply(commit, acks)

    def outcomes(self, key: ExecutionKey, acks: list[Offer]) -> set[Outcome]:
        """Returns how a commit may end that acknowledges these offers: it must leave out no earlier event.

        The order of an event for two runs is not fixed.
        """
        ours = [offer for offer in self.offers if offer.run[0] == key]
        ids = [offer.id for offer in ours]
        first = max((ids.index(offer.id) for offer in acks), default=0)
        if any(offer not in acks for offer in ours[:first]):
            return {Outcome.EARLY}
        same = {offer.id for offer in acks} & {offer.id for offer in ours if offer not in acks}
        return {Outcome.COMMITTED, Outcome.EARLY} if same else {Outcome.COMMITTED}

    def apply(self, commit: Commit, acks: list[Offer]) -> None:
        key = commit.key
        self.versions[key] += 1
        self.answer(acks)
        for run in commit.subscriptions_closed:
            self.subscriptions.pop((key, run), None)
        for subscription in commit.subscriptions:
            self.subscriptions[key, subscription.run] = frozenset(subscription.entries)
        self.append(key.tenant, [each.event for each in commit.outgoing])
        self.last = commit

    @precondition(lambda self: self.last)
    @rule()
    def commit_again(self) -> None:
        """It changes nothing, also if other steps came between."""
        newest = self.versions[self.last.key] == self.last.version
        outcome = self.does(self.store.commit(self.last))
        assert outcome is (Outcome.DUPLICATE if newest else Outcome.CONFLICT)

    # Messages

    @rule(worker=st.sampled_from(WORKERS))
    def take(self, worker: Consumer) -> None:
        """Takes all waiting messages. The messages of a run are in the order of the bus."""
        waiting = [offer for offer in self.offers if not offer.holder]
        deliveries = self.receive(worker, len(waiting))
        by_fact = {(_run(each), each.body.body["event"]["id"]): each for each in deliveries}
        assert Counter(by_fact.keys()) == Counter(offer.fact for offer in waiting)
        fresh = {offer.fact for offer in waiting if not offer.released}
        assert _by_run(fact for fact in by_fact if fact in fresh) == _by_run(
            offer.fact for offer in waiting if offer.fact in fresh
        )
        for offer in waiting:
            offer.holder, offer.delivery = worker, by_fact[offer.fact]

    @rule(worker=st.sampled_from(WORKERS))
    def match_and_take(self, worker: Consumer) -> None:
        self.everything_is_matched()
        self.take(worker)

    def receive(self, worker: Consumer, count: int) -> list[Delivery]:
        deliveries = self.does(self.store.receive_messages(worker, 100, 0))
        give_up_at = time.monotonic() + 60
        while len(deliveries) < count and time.monotonic() < give_up_at:
            deliveries += self.does(self.store.receive_messages(worker, 100, 0))
        assert len(deliveries) == count
        return deliveries

    @precondition(lambda self: any(offer.holder for offer in self.offers))
    @rule(numbers=picks)
    def acknowledge(self, numbers: list[int]) -> None:
        some = chosen([offer for offer in self.offers if offer.holder], numbers)
        self.does(self.store.acknowledge([offer.delivery for offer in some]))
        self.answer(some)

    def answer(self, some: list[Offer]) -> None:
        self.offers = [offer for offer in self.offers if offer not in some]
        self.answered += some

    @precondition(lambda self: any(offer.holder for offer in self.offers))
    @rule(numbers=picks)
    def release(self, numbers: list[int]) -> None:
        some = chosen([offer for offer in self.offers if offer.holder], numbers)
        self.does(self.store.release([offer.delivery for offer in some]))
        for offer in some:
            offer.holder, offer.delivery, offer.released = None, None, True

    @rule(worker=st.sampled_from(WORKERS))
    def deregister(self, worker: Consumer) -> None:
        self.does(self.store.deregister(worker))
        for offer in self.offers:
            if offer.holder == worker:
                offer.holder, offer.delivery, offer.released = None, None, True


def _run(delivery: Delivery) -> Run:
    assert delivery.body.kind is MessageKind.EVENT
    return delivery.key, delivery.body.body["run"]


def _by_run(facts: Any) -> dict[Run, list[str]]:
    """The ids of events by run, in order."""
    found: defaultdict[Run, list[str]] = defaultdict(list)
    for run, id_ in facts:
        found[run].append(id_)
    return found


def test_every_adapter_matches_events_as_the_model_does(adapter):
    machine = type("Events", (Events,), {"adapter": adapter})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=40,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            suppress_health_check=[*HealthCheck],
        ),
    )
