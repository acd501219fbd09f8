"""The stores of the contract suite, and makers of their records."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from unspool.eventstore.consumers import Consumer
from unspool.eventstore.encryption.key_ring import new_key
from unspool.eventstore.encryption.payloads import payloads_of
from unspool.eventstore.encryption.settings import KEYS_VARIABLE
from unspool.eventstore.encryption.store import EncryptedStore
from unspool.eventstore.event_settings import EventSettings
from unspool.eventstore.events import Event
from unspool.eventstore.listing import ExecutionFilter
from unspool.eventstore.port import EventStore
from unspool.eventstore.published_events import CloudEvent, IndexEntry, Shapes, Subscription
from unspool.eventstore.records import (
    Commit,
    Definition,
    Delivery,
    ExecutionKey,
    Message,
    MessageKind,
    Start,
    TaskRequest,
    Timer,
    WorkflowRef,
)
from unspool.eventstore.redis.settings import RedisSettings
from unspool.eventstore.redis.store import RedisStore
from unspool.eventstore.sqlite.settings import SqliteSettings
from unspool.eventstore.sqlite.store import SqliteStore

DEADLINE_SECONDS = 60.0

PATIENT = RedisSettings(reply_seconds=60.0)
"""A busy machine may need some seconds for a large text."""


@dataclass
class Stopwatch:
    """A monotonic clock that tests may put forward."""

    ahead: float = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


@dataclass
class Adapter:
    """Makes stores on one database."""

    name: str
    make: Callable[..., EventStore]
    """Takes a clock and, optionally, settings of the event bus."""
    erase: Callable[[], object]
    """Empties the database while no store is open on it."""
    clock: Stopwatch = field(default_factory=Stopwatch)

    def new_store(self) -> EventStore:
        """Returns another store on the same database, as another process would have it."""
        if self.name == "memory":
            pytest.skip("a database in memory belongs to one store")
        return self.make(self.clock)


@pytest.fixture
def stopwatch() -> Stopwatch:
    return Stopwatch()


@pytest.fixture(params=["sqlite", "memory", "redis", "sqlite encrypted", "redis encrypted"])
def adapter(request: pytest.FixtureRequest, tmp_path: Path) -> Adapter:
    name, _, encrypted = request.param.partition(" ")
    plain = _adapter(name, request, tmp_path)
    if not encrypted:
        return plain
    keys = tmp_path / "keys"
    keys.write_text(new_key("first"))
    return encrypting(plain, keys)


@pytest.fixture
def plain_adapters(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Adapter]:
    """Returns an adapter by its name."""
    return lambda name: _adapter(name, request, tmp_path)


def encrypting(adapter: Adapter, keys: Path | None) -> Adapter:
    """Returns an adapter whose stores encrypt payloads with the keys of a file, or have no keys."""

    def make(*arguments: Any) -> EventStore:
        environment = {} if keys is None else {KEYS_VARIABLE: str(keys)}
        return EncryptedStore(adapter.make(*arguments), payloads_of(environment))

    return Adapter(adapter.name, make, adapter.erase, adapter.clock)


def _adapter(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> Adapter:
    if name == "redis":
        return _redis(request.getfixturevalue("redis_server"), request.getfixturevalue("redis_database"))
    path = tmp_path / "store.db" if name == "sqlite" else None

    def erase() -> None:
        for file in tmp_path.glob("store.db*"):
            file.unlink()

    def make(clock: Stopwatch, events: EventSettings | None = None) -> EventStore:
        return SqliteStore(path, SqliteSettings(), events=events, monotonic=clock)

    return Adapter(name, make, erase)


def _redis(server: Any, url: str) -> Adapter:
    def erase() -> None:
        with server.admin as admin:
            admin.flushall()

    def make(clock: Stopwatch, events: EventSettings | None = None) -> EventStore:
        return RedisStore(url, PATIENT, events=events, monotonic=clock)

    return Adapter("redis", make, erase)


@asynccontextmanager
async def opened_redis(
    url: str, monotonic: Callable[[], float] = time.monotonic
) -> AsyncIterator[RedisStore]:
    """A store on Redis with the default settings."""
    store = RedisStore(url, RedisSettings(), monotonic=monotonic)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def store(adapter: Adapter) -> AsyncIterator[EventStore]:
    opened = adapter.make(adapter.clock)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def other(adapter: Adapter, store: EventStore) -> AsyncIterator[EventStore]:
    """A second store on the database of `store`."""
    opened = adapter.new_store()
    await opened.open()
    yield opened
    await opened.close()


class Make:
    """Makes records, with sensible defaults."""

    worker = Consumer("workers", "w1")
    second_worker = Consumer("workers", "w2")
    executor = Consumer("executors", "x1", frozenset({"http"}))
    second_executor = Consumer("executors", "x2", frozenset({"http"}))
    workflow = WorkflowRef("shop", "order", "1.0.0")
    all_executions = ExecutionFilter()

    def key(self, id_: str = "one", tenant: str = "default") -> ExecutionKey:
        return ExecutionKey(tenant, id_)

    def start(self, key: ExecutionKey | None = None, **changes: Any) -> Start:
        values = {"workflow": self.workflow, "input": {"amount": 3}, "created_at": 1_000} | changes
        return Start(key=key or self.key(), **values)

    def definition(self, version: str, name: str = "order", text: str = "do: []") -> Definition:
        return Definition(WorkflowRef("shop", name, version), text, 1_000)

    def events(self, count: int = 1, after: int = 0) -> tuple[Event, ...]:
        return tuple(
            Event(seq, "task.completed", 2_000, "/do/0/pay", f"r{seq}", {"output": {"n": seq}})
            for seq in range(after + 1, after + count + 1)
        )

    def commit(
        self, key: ExecutionKey | None = None, after: int = 0, count: int = 1, **changes: Any
    ) -> Commit:
        """Returns a commit of `count` events after number `after`."""
        values: dict[str, Any] = {
            "commit_id": f"c{after}",
            "expected_version": after,
            "events": self.events(count, after),
        }
        return Commit(key=key or self.key(), **(values | changes))

    def message(self, execution: str = "one", kind: MessageKind = MessageKind.CANCEL, **body: Any) -> Message:
        return Message(kind, execution, body)

    def task(
        self, run: str = "r1", queue: str = "http", execution: str = "one", **changes: Any
    ) -> TaskRequest:
        return TaskRequest(execution, run, "/do/0/pay", queue, {"endpoint": "http://a"})._replace(**changes)

    def result(self, task: TaskRequest, output: Any = None) -> Message:
        return Message(MessageKind.TASK_COMPLETED, task.execution, {"run": task.run, "output": output})

    def event(self, id_: str = "e1", type_: str = "paid", **attributes: Any) -> CloudEvent:
        required = {"specversion": "1.0", "id": id_, "source": "/shop", "type": type_}
        return required | attributes

    def entry(self, **attributes: str) -> IndexEntry:
        """Returns the index entry of a subscription to these attributes; its shape is their names."""
        return IndexEntry(",".join(attributes), ",".join(f"{n}={v}" for n, v in attributes.items()))

    def subscription(self, run: str = "r1", *entries: IndexEntry) -> Subscription:
        """Returns a subscription, by default to the events of type `paid`."""
        return Subscription(run, entries or (self.entry(type="paid"),))

    def timer(self, id_: str = "t1", due_at: int = 1) -> Timer:
        return Timer(id_, due_at)


@pytest.fixture
def make() -> Make:
    return Make()


def keys_of(shapes: Shapes, event: CloudEvent) -> list[str]:
    """Returns the keys of an event for the shapes of `Make.entry`."""
    return [
        ",".join(f"{name}={event[name]}" for name in shape.split(","))
        for shape in shapes
        if all(name in event for name in shape.split(","))
    ]


class Hands:
    """Receives from a store as services do: in loops, until everything has arrived."""

    def __init__(self, make: Make) -> None:
        self._make = make

    async def messages(
        self, store: EventStore, count: int = 1, consumer: Consumer | None = None
    ) -> list[Delivery[Message]]:
        """Receives exactly so many messages."""
        worker = consumer or self._make.worker
        return await self.gather(count, lambda: store.receive_messages(worker, 100, 0.1))

    async def tasks(
        self, store: EventStore, count: int = 1, consumer: Consumer | None = None
    ) -> list[Delivery[TaskRequest]]:
        """Receives exactly so many tasks."""
        executor = consumer or self._make.executor
        return await self.gather(count, lambda: store.receive_tasks(executor, 100, 0.1))

    async def gather(self, count: int, take: Callable[[], Awaitable[Sequence[Any]]]) -> list[Any]:
        """Takes until there are so many. Fails if there are more."""
        taken: list[Any] = []
        async with asyncio.timeout(DEADLINE_SECONDS):
            while len(taken) < count:
                taken += await take()
        assert len(taken) == count, taken
        return taken

    async def nothing_waits(self, store: EventStore) -> bool:
        """Returns whether neither the inbox nor the queue `http` has anything to receive."""
        return not (
            await store.receive_messages(self._make.worker, 100, 0)
            or await store.receive_tasks(self._make.executor, 100, 0)
        )

    async def subscribed(
        self, store: EventStore, *subscriptions: Subscription, key: ExecutionKey | None = None
    ) -> ExecutionKey:
        """Starts an execution that opens subscriptions in its first commit."""
        key = await self.started(store, key)
        await store.commit(self._make.commit(key, subscriptions=subscriptions))
        return key

    async def matched(self, store: EventStore, consumer: Consumer | None = None) -> int:
        """Matches all events; returns how many messages were sent."""
        sent = 0
        async with asyncio.timeout(DEADLINE_SECONDS):
            while batch := await store.receive_events(consumer or self._make.worker, 100, 0):
                sent += await store.match(batch, keys_of)
        return sent

    async def events(self, store: EventStore, count: int) -> list[tuple[str, str, str]]:
        """Receives exactly so many `event` messages; returns execution, run and the event's id of each."""
        bodies = [delivery.body for delivery in await self.messages(store, count)]
        assert {body.kind for body in bodies} <= {MessageKind.EVENT}
        return [(body.execution, body.body["run"], body.body["event"]["id"]) for body in bodies]

    async def started(self, store: EventStore, key: ExecutionKey | None = None) -> ExecutionKey:
        """Starts an execution and acknowledges its message."""
        start = self._make.start(key)
        assert await store.start(start)
        await store.acknowledge(await self.messages(store))
        return start.key

    async def requested(self, store: EventStore, *tasks: TaskRequest) -> ExecutionKey:
        """Starts an execution that requests tasks in its first commit."""
        key = await self.started(store)
        await store.commit(self._make.commit(key, tasks=tasks))
        return key


@pytest.fixture
def hands(make: Make) -> Hands:
    return Hands(make)
