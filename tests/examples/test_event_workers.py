"""`event-workers/`: workflows that react to the events of an application, which it adds to a Redis stream."""

import asyncio
import importlib.util
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import aiohttp
import jsonschema
import pytest
from tests.examples.server import Server, running_server

from unspool.definitions.document import load

WORKFLOWS = ("todo-created", "user-updated", "overdue-check", "overdue-reminders")


class Client:
    """A client of the application."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def get(self, path: str) -> Any:
        async with self._session.get(path) as answer:
            return await answer.json()

    async def add(self, title: str, due: str = "2999-12-31") -> Any:
        async with self._session.post("/todos", json={"user": "ada", "title": title, "due": due}) as answer:
            assert answer.status == 201
            return await answer.json()

    async def rename(self, user: str, name: str) -> None:
        async with self._session.put(f"/users/{user}", json={"name": name}) as answer:
            assert answer.status == 200

    async def until(self, path: str, holds: Callable[[Any], bool]) -> Any:
        """Waits until what is at a path fulfils a condition; returns it."""
        async with asyncio.timeout(120):
            while not holds(found := await self.get(path)):
                await asyncio.sleep(0.05)
        return found

    async def sent(self, *texts: str) -> None:
        """Waits until these messages were sent; no other one may be."""
        messages = await self.until("/messages", lambda found: len(found) >= len(texts))
        assert Counter(each["text"] for each in messages) == Counter(texts)


@pytest.fixture(scope="session")
def application(examples: Path) -> ModuleType:
    """The module of the application; it is a script, not part of a package."""
    spec = importlib.util.spec_from_file_location("application", examples / "event-workers/application.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
async def address(application: ModuleType, redis_database: str) -> AsyncIterator[str]:
    async with application.running(redis_database) as address:
        yield address


@pytest.fixture
async def client(address: str) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession(address) as session:
        yield Client(session)


Workers = Callable[[], AbstractAsyncContextManager[Server]]


@pytest.fixture
def workers(examples: Path, tmp_path: Path, address: str, redis_database: str) -> Workers:
    """Runs Unspool with the workflows. The address is that of the test, and the check is every second."""
    files = []
    for name in WORKFLOWS:
        text = (examples / f"event-workers/{name}.yaml").read_text()
        text = text.replace("http://127.0.0.1:8097", address).replace("*/5 * * * *", "* * * * * *")
        files.append(tmp_path / f"{name}.yaml")
        files[-1].write_text(text)
    settings = {"UNSPOOL_STORE": redis_database, "UNSPOOL_EVENTS_STREAM": "changes"}

    @asynccontextmanager
    async def run() -> AsyncIterator[Server]:
        async with running_server(tmp_path, files, **settings) as server:
            for name in WORKFLOWS:  # `unspool dev` waits for a few seconds only
                await server.has_begun(f"todos.{name}")
            yield server

    return run


def test_no_workflow_is_forgotten_and_editors_accept_them(examples: Path) -> None:
    folder = examples / "event-workers"
    assert {path.stem for path in folder.glob("*.yaml")} == {*WORKFLOWS}
    mark = "# yaml-language-server: $schema="
    for path in folder.glob("*.yaml"):
        first, _, _ = path.read_text().partition("\n")
        schema = json.loads((folder / first.removeprefix(mark)).read_text())
        jsonschema.Draft7Validator(schema).validate(load(path.read_text()).value)


async def test_workflows_react_to_the_application(workers: Workers, client: Client) -> None:
    async with workers():
        await asyncio.gather(*(client.add(f"todo {n}") for n in range(5)))
        told = [f"New todo: todo {n}" for n in range(5)]
        await client.sent(*told)
        await client.rename("ada", "Ada Lovelace")
        renamed = lambda todos: all(todo.get("userName") == "Ada Lovelace" for todo in todos)  # noqa: E731
        assert len(await client.until("/todos?user=ada", renamed)) == 5


async def test_users_are_reminded_once_of_what_is_overdue(workers: Workers, client: Client) -> None:
    async with workers() as server:
        await client.add("tomorrow")
        await client.add("yesterday", due="2020-01-01")
        told = ["New todo: tomorrow", "New todo: yesterday"]
        await client.sent(*told, "Overdue: yesterday")
        await client.until("/todos?overdue=true", lambda todos: todos == [])
        seen = len(await checks(server))
        async with asyncio.timeout(120):
            while len(await checks(server)) < seen + 2:
                await asyncio.sleep(0.05)
        await client.sent(*told, "Overdue: yesterday")


async def checks(server: Server) -> list[Any]:
    """The executions of the reminders that have ended."""
    return await server.executions("overdue-reminders", "completed", "todos")


async def test_what_happens_while_no_worker_runs_is_not_lost(workers: Workers, client: Client) -> None:
    async with workers():
        await client.add("before")
        await client.sent("New todo: before")
    await client.add("meanwhile")
    async with workers():
        await client.sent("New todo: before", "New todo: meanwhile")
