import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from tests.task_contexts import TextsInMemory, task_context

from unspool.eventstore.clock import SystemClock
from unspool.eventstore.opening import open_store
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import TaskRequest
from unspool.executor.handlers import default_handlers
from unspool.executor.outcome import Handler, Outcome
from unspool.executor.settings import ExecutorSettings

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Service:
    """A real HTTP server whose answers a test sets by path; it records the requests."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.requests: list[web.Request] = []
        self.bodies: list[bytes] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def elsewhere(self) -> str:
        """The same server under another origin."""
        return f"http://localhost:{self.port}"

    def answer(self, path: str, body: bytes | str = b"", status: int = 200, **headers: str) -> None:
        content = body.encode() if isinstance(body, str) else body
        named = {name.replace("_", "-"): value for name, value in headers.items()}

        async def respond(request: web.Request) -> web.Response:
            return web.Response(status=status, body=content, headers=named)

        self.answers[path] = respond

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.bodies.append(await request.read())
        if request.path not in self.answers:
            return web.Response(status=404)
        return await self.answers[request.path](request)


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[EventStore]:
    """An empty store of each kind."""
    opened = await open_store(store_url, {})
    yield opened
    await opened.close()


@asynccontextmanager
async def serving(port: int = 0) -> AsyncIterator[Service]:
    """Runs the server, by default on a free port."""
    service = Service()
    runner = web.ServerRunner(web.Server(service.handle), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    service.port = runner.addresses[0][1]
    yield service
    await runner.cleanup()


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with serving() as running:
        yield running


async def _run(handler: Handler, queue: str, arguments: dict) -> Outcome:
    return await handler(TaskRequest("e1", "r1", "/do/0/call", queue, arguments), task_context())


Http = Callable[..., Awaitable[Outcome]]


@pytest.fixture
async def http(request: pytest.FixtureRequest) -> AsyncIterator[Http]:
    """Runs an `http` task: `await http(uri, method="GET", …)`. Settings come by indirect parametrization."""
    settings = getattr(request, "param", ExecutorSettings())
    async with default_handlers(settings) as handlers:

        async def call(uri: str, *, method: str = "GET", **arguments) -> Outcome:
            endpoint = {"uri": uri}
            if "authentication" in arguments:
                endpoint["authentication"] = arguments.pop("authentication")
            arguments = {"method": method, "endpoint": endpoint, **arguments}
            return await _run(handlers["http"], "http", arguments)

        yield call


@pytest.fixture
async def shell(request: pytest.FixtureRequest) -> AsyncIterator[Http]:
    """Runs a `shell` task: `await shell(command, arguments=…, …)`."""
    settings = getattr(request, "param", ExecutorSettings(allow_shell=True))
    async with default_handlers(settings) as handlers:

        async def run(command: str, **arguments) -> Outcome:
            return await _run(handlers["shell"], "shell", {"command": command, **arguments})

        yield run


@pytest.fixture
def soon() -> Callable[[float], int]:
    """A deadline so many seconds from now."""
    return lambda seconds: SystemClock().now() + int(seconds * 1000)


@pytest.fixture
def eventually() -> Callable[..., Awaitable[None]]:
    """Waits until a condition holds; fails after a minute."""

    async def wait(condition: Callable[[], bool], what: str) -> None:
        try:
            async with asyncio.timeout(60):
                while not condition():
                    await asyncio.sleep(0.01)
        except TimeoutError:
            pytest.fail(f"did not happen within 60 s: {what}")

    return wait


@pytest.fixture
async def script(request: pytest.FixtureRequest) -> AsyncIterator[Http]:
    """Runs a `script` task: `await script(code, language="python", arguments=…, …)`."""
    settings = getattr(request, "param", ExecutorSettings(allow="script"))
    async with default_handlers(settings) as handlers:

        async def run(code: str, language: str = "python", **arguments) -> Outcome:
            return await _run(handlers["script"], "script", {"language": language, "code": code, **arguments})

        yield run


@pytest.fixture
async def openapi(request: pytest.FixtureRequest, service: Service) -> AsyncIterator[Http]:
    """Calls an operation: `await openapi(document, "id", parameters=…)`. The document is at the service."""
    settings = getattr(request, "param", ExecutorSettings())
    async with default_handlers(settings) as handlers:

        async def call(document: object, operation: str, at: str = "", **arguments) -> Outcome:
            texts = TextsInMemory()
            text = document if isinstance(document, str) else json.dumps(document)
            place = {
                "uri": at or f"{service.url}/openapi.json",
                "sha256": await texts.put_text("default", text),
            }
            arguments = {"operationId": operation, **arguments, "$documents": {"document": place}}
            task = TaskRequest("e1", "r1", "/do/0/call", "call", {"$kind": "openapi", **arguments})
            return await handlers["openapi"](task, task_context(texts))

        yield call
