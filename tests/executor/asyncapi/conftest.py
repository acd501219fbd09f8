"""Calls of AsyncAPI documents against real brokers."""

import asyncio
import gc
import itertools
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.executor.asyncapi import programs
from tests.task_contexts import TextsInMemory, task_context

from unspool.cli.node import Node
from unspool.eventstore.events import Event
from unspool.eventstore.opening import open_store
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import (
    DEFAULT_TENANT,
    Definition,
    ExecutionKey,
    Start,
    TaskRequest,
    WorkflowRef,
)
from unspool.executor.handlers import default_handlers
from unspool.executor.outcome import Outcome
from unspool.executor.settings import ExecutorSettings

ALL = ("worker", "executor", "timer")
SECONDS = 60
"""Limit for every condition: the machine may be busy."""

AsyncApi = Callable[..., Awaitable[Outcome]]

_numbers = itertools.count()


def unused_name(what: str) -> str:
    """A name that no other test of this process uses: they share the brokers."""
    return f"{what}-{next(_numbers)}"


def document(url: str, *, address: str = "greetings", version: int = 3, **parts: Any) -> dict[str, Any]:
    """A document with one server, one channel and one operation, `greet`.

    `parts` are members of the `server`, the `channel`, the `operation` and the `message`.
    """
    protocol, _, host = url.partition("://")
    message = {"payload": {"type": "object"}, **parts.get("message", {})}
    if version == 2:
        operation = {"message": message, **parts.get("operation", {})}
        channel = {"publish": operation, "subscribe": operation, **parts.get("channel", {})}
        server = {"url": url, "protocol": protocol, **parts.get("server", {})}
        return {
            "asyncapi": "2.6.0",
            "servers": {"main": server},
            "channels": {address: channel},
            "components": parts.get("components", {}),
        }
    host, _, path = host.partition("/")
    server = {"host": host, "protocol": protocol, **parts.get("server", {})}
    if path:
        server["pathname"] = f"/{path}"
    channel = {"address": address, "messages": {"greeting": message}, **parts.get("channel", {})}
    reference = {"$ref": "#/channels/one"}
    return {
        "asyncapi": "3.0.0",
        "servers": {"main": server},
        "channels": {"one": channel},
        "operations": {"greet": {"action": "send", "channel": reference, **parts.get("operation", {})}},
        "components": parts.get("components", {}),
    }


@pytest.fixture
async def asyncapi(request: pytest.FixtureRequest) -> AsyncIterator[AsyncApi]:
    """Runs a task: `await asyncapi(document, operation="greet", message={…})`. Settings come indirectly."""
    settings = getattr(request, "param", ExecutorSettings())
    texts = TextsInMemory()
    async with default_handlers(settings) as handlers:

        async def call(described: Any, **arguments: Any) -> Outcome:
            text = described if isinstance(described, str) else json.dumps(described)
            sha256 = await texts.put_text("default", text)
            if not {"operation", "channel"} & arguments.keys():
                arguments["operation"] = "greet"
            named = {"document": {"uri": "file:api.json?key=hidden", "sha256": sha256}}
            sent = {**arguments, "$kind": "asyncapi", "$documents": named}
            task = TaskRequest("e1", "r1", "/do/0/call", "call", sent)
            return await handlers["asyncapi"](task, task_context(texts))

        yield call


class Services:
    """Worker, executor and timers on a store."""

    def __init__(self, store: EventStore, url: str, folder: Path) -> None:
        self.store = store
        self.folder = folder
        self._url = url
        self._name = unused_name("e")
        self._count = 0

    @property
    def subscription(self) -> str:
        """What the subscription of the first execution is called at its broker."""
        return f"unspool-{self._name}-1-1.7"

    def node(self, *services: str, **environment: str) -> Node:
        """Runs services; documents are in the folder."""
        settings = {"UNSPOOL_RESOURCES_DIR": str(self.folder), **environment}
        return Node(self.store, self._url, environment=settings, services=services or ALL)

    def executor_process(self) -> "subprocess.Popen[bytes]":
        """A process that can be killed."""
        environment = {**os.environ, "UNSPOOL_RESOURCES_DIR": str(self.folder)}
        program = Path(sys.executable).with_name("unspool")
        return subprocess.Popen([program, "executor", "--store", self._url], env=environment)

    async def start(self, text: str, described: Any, value: Any = None) -> ExecutionKey:
        """Starts a workflow whose document is `api.json`."""
        (self.folder / "api.json").write_text(json.dumps(described))
        self._count += 1
        ref = WorkflowRef("test", "subscribe", f"1.0.{self._count}")
        text = text.replace("version: '1.0.0'", f"version: '{ref.version}'")
        await self.store.put_definition(DEFAULT_TENANT, Definition(ref, text, 0))
        key = ExecutionKey(DEFAULT_TENANT, f"{self._name}-{self._count}")
        await self.store.start(Start(key, ref, {} if value is None else value, await self.store.now()))
        return key

    async def ended(self, key: ExecutionKey) -> Event:
        """The last event of an execution that ends."""
        async with asyncio.timeout(SECONDS):
            while True:
                record = await self.store.execution(key)
                assert record is not None
                if record.status.ended:
                    last = await self.store.last_event(key)
                    assert last is not None
                    return last
                await self.store.wait_for_version(key, record.version, 60)

    async def output(self, key: ExecutionKey) -> Any:
        last = await self.ended(key)
        assert last.type == "workflow.completed", last.data
        return last.data["output"]

    async def error(self, key: ExecutionKey) -> Any:
        last = await self.ended(key)
        assert last.type == "workflow.faulted", last.data
        return last.data["error"]

    async def waits_for(self, key: ExecutionKey, what: str) -> None:
        """Waits until a task of an execution reports what it waits for."""

        async def reported() -> bool:
            events = await self.store.history(key)
            return any(e.data.get("progress") == {"waitsFor": what} for e in events)

        async with asyncio.timeout(SECONDS):
            while not await reported():
                await asyncio.sleep(0.01)

    async def received(self, key: ExecutionKey, count: int) -> None:
        """Waits until an execution has so many messages."""

        async def there() -> bool:
            events = await self.store.history(key)
            return sum(len(e.data["messages"]) for e in events if e.type == "messages.received") >= count

        async with asyncio.timeout(SECONDS):
            while not await there():
                await asyncio.sleep(0.01)


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[Services]:
    """An empty SQLite store: the Redis of the tests is a broker here."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    store = await open_store(url, {})
    folder = tmp_path / "documents"
    folder.mkdir()
    yield Services(store, url, folder)
    await store.close()


@pytest.fixture(scope="session")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int, Path]]:
    with programs.mosquitto(tmp_path_factory.mktemp("mosquitto")) as started:
        yield started


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    with programs.nats_server(tmp_path_factory.mktemp("nats")) as started:
        yield started


@pytest.fixture(scope="session")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with programs.rabbitmq(tmp_path_factory.mktemp("rabbitmq")) as started:
        yield started


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with programs.kafka(tmp_path_factory.mktemp("kafka")) as started:
        yield started


@pytest.fixture(autouse=True)
def collected(request: pytest.FixtureRequest) -> Iterator[None]:
    """Collects what aiokafka leaves to the garbage collector, so that no later test gets the warning."""
    yield
    if "kafka" in request.node.name:
        gc.collect()
