"""A real API on a free port and a real store. Tests commit the events that a worker would."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import aiohttp
import pytest
from tests.api.issuer_flow import issuer, later_clock  # noqa: F401 - fixtures
from tests.api.webhooks import run_hooks, secrets_dir, stopped_clock  # noqa: F401 - fixtures

from unspool.api.app import create_app
from unspool.api.authentication.authenticator import Authenticator, TokenVerifier
from unspool.api.authentication.issuer_login import IssuerLogin
from unspool.api.authentication.settings import AuthenticationSettings
from unspool.api.engine import Engine
from unspool.api.hooks.configuration import Hooks
from unspool.api.server import listen, serve
from unspool.api.settings import ApiSettings
from unspool.definitions.expressions import JqPool
from unspool.eventstore.clock import Clock, SystemClock
from unspool.eventstore.events import Event
from unspool.eventstore.ids import new_id
from unspool.eventstore.opening import open_store
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import Commit, ExecutionKey, IndexUpdate, Status
from unspool.eventstore.results import Outcome

GREET = """\
document:
  dsl: '1.0.3'
  namespace: shop
  name: greet
  version: '1.0.0'
do:
  - hello:
      set:
        greeting: ${ "Hello " + .name }
"""

ENDINGS = {
    Status.COMPLETED: ("workflow.completed", {"output": {"greeting": "Hello Ada"}}),
    Status.FAULTED: (
        "workflow.faulted",
        {"error": {"type": "https://example.com/errors/broken", "status": 500, "instance": "/do/0/hello"}},
    ),
    Status.CANCELLED: ("workflow.cancelled", {}),
    Status.SUSPENDED: ("workflow.suspended", {}),
    Status.RUNNING: ("workflow.resumed", {}),
    Status.WAITING: ("task.created", {"parent": "0"}),
}
"""The event that sets each status."""


@dataclass
class Api:
    """A client of a running API, with the API's store and server."""

    url: str
    session: aiohttp.ClientSession
    store: EventStore
    app: Any
    stop: asyncio.Event
    serving: asyncio.Task[None]

    async def call(
        self, method: str, path: str, expect: int | None = None, **arguments: Any
    ) -> tuple[aiohttp.ClientResponse, Any]:
        """Sends one request; returns the response and its JSON or text. A path that begins with two slashes
        is not under /api/v1."""
        address = self.url + (path[1:] if path.startswith("//") else "/api/v1" + path)
        async with self.session.request(method, address, **arguments) as response:
            is_json = response.content_type.endswith("json")
            body = await (response.json(content_type=None) if is_json else response.text())
            if expect is not None:
                assert response.status == expect, body
            if response.status >= 400:
                assert response.content_type == "application/problem+json"
                assert body["status"] == response.status
                assert {"type", "title", "detail", "instance"} <= body.keys()
            return response, body

    async def get(self, path: str, expect: int = 200, **arguments: Any) -> Any:
        """Sends a GET; returns the body."""
        return (await self.call("GET", path, expect, **arguments))[1]

    async def post(self, path: str, expect: int, **arguments: Any) -> Any:
        """Sends a POST; returns the body of the response."""
        return (await self.call("POST", path, expect, **arguments))[1]

    async def deploy(self, text: str = GREET, expect: int = 201, **arguments: Any) -> Any:
        """Stores a definition."""
        headers = {"Content-Type": "application/yaml", **arguments.pop("headers", {})}
        return await self.post("/workflows", expect, data=text.encode(), headers=headers, **arguments)

    async def start(self, expect: int = 202, query: str = "", **body: Any) -> Any:
        """Starts an execution of shop/greet."""
        return await self.post(f"/workflows/shop/greet/executions{query}", expect, json=body)

    async def eventually(self, holds: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
        """Waits for a condition."""
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"waited for {what}"
            await asyncio.sleep(0.01)

    async def started(self, id_: str) -> None:
        """Waits until an execution exists."""
        deadline = time.monotonic() + 60
        while await self.store.execution(ExecutionKey("default", id_)) is None:
            assert time.monotonic() < deadline, f"waited for {id_} to be started"
            await asyncio.sleep(0.01)

    @property
    def in_progress(self) -> int:
        """Number of requests in progress."""
        count: int = self.app.state.services.requests.in_progress
        return count

    async def begin(self, id_: str) -> None:
        """Commits the first event, as a worker does."""
        record = await self.store.execution(ExecutionKey("default", id_))
        assert record is not None
        await self.commit(id_, Status.RUNNING, ("workflow.started", {"input": record.pending_input}))

    async def move(self, id_: str, status: Status) -> None:
        """Commits the event that sets this status."""
        await self.commit(id_, status, ENDINGS[status])

    async def commit(self, id_: str, status: Status, *decided: tuple[Any, ...]) -> None:
        """Commits events, each given as type, data and, for a task's event, task and run."""
        key = ExecutionKey("default", id_)
        record = await self.store.execution(key)
        assert record is not None
        now = SystemClock().now()
        events = tuple(
            Event(record.version + n, type_, now, *(place or (None, None)), data)
            for n, (type_, data, *place) in enumerate(decided, 1)
        )
        index = IndexUpdate(
            status,
            started_at=now if record.version == 0 else None,
            ended_at=now if status.ended else None,
        )
        commit = Commit(
            key=key, commit_id=new_id(now), expected_version=record.version, events=events, index=index
        )
        assert await self.store.commit(commit) is Outcome.COMMITTED


@asynccontextmanager
async def run_api(
    store: EventStore,
    engine: Engine,
    settings: ApiSettings,
    hooks: Hooks | None = None,
    clock: Clock | None = None,
    authentication: AuthenticationSettings | None = None,
    tokens: TokenVerifier | None = None,
    login: IssuerLogin | None = None,
    **changes: Any,
) -> AsyncIterator[Api]:
    """Runs the API until the block ends, by default without authentication. `changes` are other settings."""
    clock, settings = clock or SystemClock(), replace(settings, **changes)
    authenticator = Authenticator(store, clock, authentication or AuthenticationSettings(), tokens, login)
    app = create_app(store, engine, settings, clock, hooks, authenticator=authenticator)
    stop = asyncio.Event()
    with listen(settings) as listening:
        port = listening.getsockname()[1]
        serving = asyncio.create_task(serve(app, settings, stop, listening))
        try:
            async with aiohttp.ClientSession() as session:
                yield Api(f"http://127.0.0.1:{port}", session, store, app, stop, serving)
        finally:
            stop.set()
            await serving


@pytest.fixture
def settings() -> ApiSettings:
    """Settings for tests: a free port, small limits, a short heartbeat, and time for a busy machine."""
    return ApiSettings(
        port=0,
        max_definition_bytes=100_000,
        max_input_bytes=100_000,
        body_seconds=60,
        heartbeat_seconds=0.2,
        stop_seconds=30,
    )


@pytest.fixture
async def store(tmp_path) -> AsyncIterator[EventStore]:
    """An empty SQLite store."""
    opened = await open_store(f"sqlite:///{tmp_path}/store.db", {})
    yield opened
    await opened.close()


@pytest.fixture
async def api(store: EventStore, running_api) -> AsyncIterator[Api]:
    """The API on an empty SQLite store."""
    async with running_api(store) as running:
        yield running


@pytest.fixture
def greet() -> str:
    """A definition."""
    return GREET


@pytest.fixture(scope="session")
def engine(jq: JqPool) -> Engine:
    return Engine(jq)


@pytest.fixture
def running_api(engine: Engine, settings: ApiSettings):
    """Runs an API on a store."""
    return partial(run_api, engine=engine, settings=settings)


@pytest.fixture
def make_event() -> Event:
    """The first event of an execution."""
    return Event(1, "workflow.started", SystemClock().now(), None, None, {"input": {}})
