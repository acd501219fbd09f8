"""Every adapter does what a small model in memory does, for random operations in random order."""

import asyncio
import copy
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import orjson
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from unspool.eventstore.consumers import Consumer
from unspool.eventstore.errors import NotFound
from unspool.eventstore.events import Event
from unspool.eventstore.listing import ExecutionFilter
from unspool.eventstore.records import (
    Commit,
    Delivery,
    ExecutionKey,
    IndexUpdate,
    Message,
    MessageKind,
    Start,
    Status,
    TaskRequest,
    Timer,
    WorkflowRef,
    start_message,
)
from unspool.eventstore.results import Outcome, Renewal

WORKERS = [Consumer("workers", name) for name in ("w1", "w2")]
EXECUTORS = [Consumer("executors", name, frozenset({"http", "shell"})) for name in ("x1", "x2")]
KEYS = [ExecutionKey(tenant, id_) for tenant in ("default", "other") for id_ in ("a", "b")]
DUE, FAR = 1_000, 4_102_444_800_000

keys = st.sampled_from(KEYS)
workers = st.sampled_from(WORKERS)
executors = st.sampled_from(EXECUTORS)
picks = st.lists(st.integers(0, 9), max_size=3)
pick = st.integers(0, 9)


@dataclass
class Execution:
    created_at: int
    input: Any
    events: list[Event] = field(default_factory=list)
    commit_id: str = ""
    status: Status = Status.PENDING
    started_at: int | None = None
    ended_at: int | None = None


@dataclass
class Item:
    """A message or task that is outstanding; `holder` has it, or it waits."""

    tenant: str
    body: Message | TaskRequest
    attempts: int = 0
    holder: Consumer | None = None
    delivery: Delivery | None = None
    cancelled: bool = False

    @property
    def fact(self) -> bytes:
        """What a delivery of it has, in a form that can be compared."""
        return fact(self.tenant, self.body, self.attempts)


def fact(tenant: str, body: Message | TaskRequest, attempts: int) -> bytes:
    return orjson.dumps([tenant, [*body], attempts])


def chosen(items: list, numbers: list[int]) -> list:
    """Returns some of the items, each once. The numbers choose them."""
    return [items[i] for i in sorted({number % len(items) for number in numbers})] if items else []


class Comparison(RuleBasedStateMachine):
    """Does the same to the model, kept in this object, and to a store."""

    adapter: Any = None

    @initialize()
    def begin(self) -> None:
        self.executions: dict[ExecutionKey, Execution] = {}
        self.items: list[Item] = []
        self.timers: dict[tuple[ExecutionKey, str], int] = {}
        self.dead: list[tuple[str, Item]] = []
        self.last_commit: Commit | None = None
        self.number = 0
        self.adapter.erase()
        self.runner = asyncio.Runner()
        self.store = self.adapter.make(self.adapter.clock)
        self.does(self.store.open())

    def does(self, coroutine: Any) -> Any:
        return self.runner.run(coroutine)

    async def finish(self, delivery: Delivery, result: Message | None) -> None:
        await self.store.finish_task(delivery, result)  # needs a running event loop

    def teardown(self) -> None:
        if not hasattr(self, "store"):
            return
        try:
            self.compare_all()
        finally:
            self.does(self.store.close())
            self.runner.close()

    def new(self, prefix: str) -> str:
        self.number += 1
        return f"{prefix}{self.number}"

    def held(self, kind: type, consumer: Consumer | None = None) -> list[Item]:
        return [
            item
            for item in self.items
            if isinstance(item.body, kind) and item.holder and consumer in (None, item.holder)
        ]

    # Executions

    @rule(key=keys, input_=st.sampled_from([None, {"n": 1}]))
    def start(self, key: ExecutionKey, input_: Any) -> None:
        start = Start(key, WorkflowRef("n", "w", "1.0.0"), input_, created_at=len(self.executions))
        assert self.does(self.store.start(start)) is (key not in self.executions)
        if key not in self.executions:
            self.executions[key] = Execution(start.created_at, input_)
            self.items.append(Item(key.tenant, start_message(start)))

    @rule(
        key=keys,
        off=st.sampled_from([0, 0, 0, 0, -1, 1]),
        count=st.integers(1, 3),
        tasks=st.lists(st.sampled_from(["http", "shell"]), max_size=2),
        messages=st.integers(0, 2),
        timers=st.lists(st.sampled_from([DUE, FAR]), max_size=2),
        cancelled=picks,
        acknowledged=picks,
        index=st.sampled_from([None, Status.RUNNING, Status.WAITING, Status.FAULTED, Status.COMPLETED]),
    )
    def commit(  # noqa: PLR0917 - hypothesis names them all
        self, key, off, count, tasks, messages, timers, cancelled, acknowledged, index
    ) -> None:
        execution = self.executions.get(key)
        expected = max(0, (len(execution.events) if execution else 0) + off)
        ours = [item for item in self.items if (item.tenant, item.body.execution) == key]
        running = [item for item in ours if isinstance(item.body, TaskRequest)]
        acks = [item for item in ours if isinstance(item.body, Message) and item.holder]
        commit = Commit(
            key=key,
            commit_id=self.new("c"),
            expected_version=expected,
            events=tuple(
                Event(expected + i, "task.completed", 5, "/do/0/t", None, {"n": i})
                for i in range(1, count + 1)
            ),
            tasks=tuple(
                TaskRequest(key.id, self.new("r"), "/do/0/t", queue, {"q": queue}) for queue in tasks
            ),
            tasks_cancelled=tuple(item.body.run for item in chosen(running, cancelled)),
            messages=tuple(
                Message(MessageKind.CONTINUE, key.id, {"n": self.new("m")}) for _ in range(messages)
            ),
            timers=tuple(Timer(self.new("t"), due_at) for due_at in timers),
            timers_cancelled=tuple(chosen([id_ for of, id_ in self.timers if of == key], cancelled)),
            index=index and IndexUpdate(index, started_at=expected, ended_at=7 if index.ended else None),
            acknowledges=tuple(item.delivery for item in chosen(acks, acknowledged)),
        )
        try:
            outcome = self.does(self.store.commit(commit))
        except NotFound:
            assert execution is None
            return
        assert execution is not None
        assert outcome is (Outcome.COMMITTED if expected == len(execution.events) else Outcome.CONFLICT)
        if outcome is Outcome.COMMITTED:
            self.apply(commit, execution)

    def apply(self, commit: Commit, execution: Execution) -> None:
        execution.events += commit.events
        execution.commit_id = commit.commit_id
        if commit.index:
            execution.status = commit.index.status
            execution.started_at = commit.index.started_at
            execution.ended_at = commit.index.ended_at
        self.items = [
            item for item in self.items if item.delivery not in commit.acknowledges or not item.delivery
        ]
        for item in [*self.items]:
            if item.tenant == commit.key.tenant and item.body[:2] in [
                (commit.key.id, run) for run in commit.tasks_cancelled
            ]:
                item.cancelled = True
                if not item.holder:
                    self.items.remove(item)
        self.items += [Item(commit.key.tenant, body) for body in (*commit.tasks, *commit.messages)]
        self.timers |= {(commit.key, timer.id): timer.due_at for timer in commit.timers}
        for id_ in commit.timers_cancelled:
            del self.timers[commit.key, id_]
        self.last_commit = commit

    @precondition(lambda self: self.last_commit)
    @rule()
    def commit_again(self) -> None:
        execution = self.executions[self.last_commit.key]
        newest = execution.commit_id == self.last_commit.commit_id
        outcome = self.does(self.store.commit(self.last_commit))
        assert outcome is (Outcome.DUPLICATE if newest else Outcome.CONFLICT)

    # Deliveries

    @rule(key=keys)
    def send(self, key: ExecutionKey) -> None:
        message = Message(MessageKind.SUSPEND, key.id, {"n": self.new("m")})
        self.does(self.store.send(key.tenant, message))
        self.items.append(Item(key.tenant, message))

    @rule(worker=workers)
    def receive_messages(self, worker: Consumer) -> None:
        self.take(worker, Message, lambda: self.store.receive_messages(worker, 100, 0))

    @rule(executor=executors)
    def receive_tasks(self, executor: Consumer) -> None:
        self.take(executor, TaskRequest, lambda: self.store.receive_tasks(executor, 100, 0))

    def take(self, consumer: Consumer, kind: type, receive: Any) -> None:
        """Takes until everything that waits has arrived."""
        waiting = [item for item in self.items if isinstance(item.body, kind) and not item.holder]
        deliveries = self.does(receive())
        give_up_at = time.monotonic() + 60
        while len(deliveries) < len(waiting) and time.monotonic() < give_up_at:
            deliveries += self.does(receive())
        for item in waiting:
            item.holder = consumer
            item.attempts += 1
        assert Counter(fact(d.tenant, d.body, d.attempts) for d in deliveries) == Counter(
            i.fact for i in waiting
        )
        # Several may be equal, so any of them can be chosen.
        by_fact = sorted(deliveries, key=lambda d: fact(d.tenant, d.body, d.attempts))
        for item, delivery in zip(sorted(waiting, key=lambda i: i.fact), by_fact, strict=True):
            item.delivery = delivery

    @rule(numbers=picks)
    def acknowledge(self, numbers: list[int]) -> None:
        items = chosen(self.held(Message), numbers)
        self.does(self.store.acknowledge([item.delivery for item in items]))
        self.forget(items)

    @rule(numbers=picks, kind=st.sampled_from([Message, TaskRequest]))
    def release(self, numbers: list[int], kind: type) -> None:
        items = chosen(self.held(kind), numbers)
        self.does(self.store.release([item.delivery for item in items]))
        for item in items:
            item.attempts -= 1
        self.free(items)

    @rule(numbers=picks)
    def give_back(self, numbers: list[int]) -> None:
        items = chosen(self.held(Message), numbers)
        waits = any(isinstance(item.body, Message) and not item.holder for item in self.items)
        kept = self.does(self.store.give_back([item.delivery for item in items]))
        assert waits or not kept
        given = [item for item in items if item.delivery not in kept]
        for item in given:
            item.attempts -= 1
        self.free(given)

    @rule(consumer=st.one_of(workers, executors))
    def deregister(self, consumer: Consumer) -> None:
        self.does(self.store.deregister(consumer))
        self.free([item for item in self.items if item.holder == consumer])

    @rule(executor=executors, numbers=picks)
    def renew_tasks(self, executor: Consumer, numbers: list[int]) -> None:
        items = chosen(self.held(TaskRequest), numbers)
        found = self.does(self.store.renew_tasks(executor, [item.delivery for item in items]))
        assert found == [
            Renewal.LOST if item.holder != executor else Renewal.CANCELLED if item.cancelled else Renewal.HELD
            for item in items
        ]

    @rule(number=pick, answers=st.booleans())
    def finish_task(self, number: int, answers: bool) -> None:
        for item in chosen(self.held(TaskRequest), [number]):
            result = Message(
                MessageKind.TASK_COMPLETED, item.body.execution, {"run": item.body.run, "output": 1}
            )
            self.does(self.finish(item.delivery, result if answers else None))
            self.does(self.finish(item.delivery, result))
            self.forget([item])
            if answers:
                self.items.append(Item(item.tenant, result))

    def forget(self, items: list[Item]) -> None:
        self.items = [item for item in self.items if not any(item is one for one in items)]

    def free(self, items: list[Item]) -> None:
        self.forget([item for item in items if item.cancelled])
        for item in items:
            item.holder = item.delivery = None

    # Timers and dead letters

    @rule(limit=st.integers(1, 3))
    def fire(self, limit: int) -> None:
        due = sum(due_at == DUE for due_at in self.timers.values())
        fired = self.does(self.store.fire_due_timers(limit))
        assert fired.count == min(due, limit)
        # The store chooses the order of timers due at the same time. The messages show which have fired.
        if fired.count == due:
            for key, id_ in [timer for timer, due_at in self.timers.items() if due_at == DUE]:
                del self.timers[key, id_]
                message = Message(MessageKind.TIMER_FIRED, key.id, {"timer": id_})
                self.items.append(Item(key.tenant, message))
            assert fired.next_due_at == min(self.timers.values(), default=None)
        else:
            assert fired.next_due_at == DUE
            self.fire(3)

    @rule(number=pick, kind=st.sampled_from([Message, TaskRequest]))
    def move_to_dead_letters(self, number: int, kind: type) -> None:
        for item in chosen(self.held(kind), [number]):
            id_ = self.does(self.store.move_to_dead_letters(item.delivery, "boom", "at …"))
            self.forget([item])
            self.dead.append((id_, copy.copy(item)))

    @rule(number=pick, requeues=st.booleans())
    def requeue_or_discard(self, number: int, requeues: bool) -> None:
        for id_, item in chosen(self.dead, [number]):
            act = self.store.requeue if requeues else self.store.discard
            assert self.does(act(item.tenant, id_))
            assert not self.does(act(item.tenant, id_))
            self.dead.remove((id_, item))
            if requeues:
                self.items.append(Item(item.tenant, item.body))

    # What can be seen

    @rule()
    def compare_all(self) -> None:
        for key in KEYS:
            self.compare_execution(key)
        for tenant in ("default", "other"):
            page = self.does(self.store.executions(tenant, ExecutionFilter()))
            known = [key for key in self.executions if key.tenant == tenant]
            newest_first = sorted(known, key=lambda key: -self.executions[key].created_at)
            assert [record.key for record in page.items] == newest_first
            letters = self.does(self.store.dead_letters(tenant)).items
            assert Counter(
                (letter.id, fact(tenant, letter.body, letter.attempts)) for letter in letters
            ) == Counter((id_, item.fact) for id_, item in self.dead if item.tenant == tenant)

    def compare_execution(self, key: ExecutionKey) -> None:
        execution = self.executions.get(key)
        record = self.does(self.store.execution(key))
        history = self.does(self.store.history(key))
        assert history == (execution.events if execution else [])
        if execution is None:
            assert record is None
            return
        assert (record.version, record.created_at) == (len(history), execution.created_at)
        assert (record.status, record.started_at) == (execution.status, execution.started_at)
        assert record.ended_at == execution.ended_at
        assert record.pending_input == (None if history else execution.input)


def test_every_adapter_does_what_the_model_does(adapter):
    machine = type("Comparison", (Comparison,), {"adapter": adapter})
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
