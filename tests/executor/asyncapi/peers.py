"""Brokers that tests talk to, each with a client of its own: what other programs do beside a workflow."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol

import redis.asyncio
from aiohttp import web
from tests.executor.asyncapi.conftest import document

SECONDS = 60
"""Limit for every condition: the machine may be busy."""


async def until(condition: Callable[[], Awaitable[Any]], what: str) -> Any:
    """Waits until a condition holds; returns its value."""
    try:
        async with asyncio.timeout(SECONDS):
            while not (found := await condition()):
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"did not happen within {SECONDS} s: {what}") from None
    return found


class Peer(Protocol):
    """A broker and a client of it. The channel is `greetings`."""

    keeps: bool
    """Whether it delivers a message again that was not acknowledged."""

    @property
    def document(self) -> dict[str, Any]:
        """The AsyncAPI document that describes it."""

    async def subscribed(self, count: int = 1) -> None:
        """Waits until there are so many subscribers."""

    async def send(self, payload: bytes) -> None:
        """Publishes a message for the subscribers."""

    async def empty(self) -> None:
        """Waits until nothing of a subscription is left at the broker."""


class RedisChannel:
    keeps = False

    def __init__(self, url: str) -> None:
        self.document = document(url)
        self._client = redis.asyncio.Redis.from_url(url)

    async def subscribed(self, count: int = 1) -> None:
        async def there() -> bool:
            return (await self._client.pubsub_numsub("greetings"))[0][1] == count

        await until(there, f"{count} subscribers")

    async def send(self, payload: bytes) -> None:
        await self._client.publish("greetings", payload)

    async def empty(self) -> None:
        await self.subscribed(0)

    async def close(self) -> None:
        await self._client.aclose()


class RedisStream:
    keeps = True

    def __init__(self, url: str) -> None:
        self.document = document(url, channel={"bindings": {"redis": {"x-type": "stream"}}})
        self._client = redis.asyncio.Redis.from_url(url)

    async def _groups(self) -> list[Any]:
        return await self._client.xinfo_groups("greetings") if await self._client.exists("greetings") else []

    async def subscribed(self, count: int = 1) -> None:
        async def there() -> bool:
            groups = await self._groups()
            return len(groups) == count and all(group["consumers"] for group in groups)

        await until(there, f"{count} groups")

    async def send(self, payload: bytes) -> None:
        await self._client.xadd("greetings", {"payload": payload})

    async def empty(self) -> None:
        async def gone() -> bool:
            return not await self._groups()

        await until(gone, "no group")

    async def close(self) -> None:
        await self._client.aclose()


class _Server:
    """A server that sends each message to every connection."""

    keeps = False

    def __init__(self) -> None:
        self.connections: list[asyncio.Queue[bytes]] = []
        self.headers: list[dict[str, str]] = []
        self.port = 0

    @property
    def document(self) -> dict[str, Any]:
        return document(f"{self.scheme}://127.0.0.1:{self.port}")

    scheme = "http"

    async def subscribed(self, count: int = 1) -> None:
        async def there() -> bool:
            return len(self.connections) == count

        await until(there, f"{count} connections")

    async def send(self, payload: bytes) -> None:
        for connection in self.connections:
            connection.put_nowait(payload)

    async def empty(self) -> None:
        await self.subscribed(0)

    @asynccontextmanager
    async def connected(self, request: web.BaseRequest) -> AsyncIterator["asyncio.Queue[bytes]"]:
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        self.headers.append(dict(request.headers))
        self.connections.append(queue)
        try:
            yield queue
        finally:
            self.connections.remove(queue)


class EventStream(_Server):
    """Server-sent events."""

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        async with self.connected(request) as queue:
            number = 0
            while True:
                number += 1
                data = b"\ndata: ".join((await queue.get()).split(b"\n"))
                await response.write(b"id: %d\ndata: " % number + data + b"\n\n")


class Lines(_Server):
    """JSON lines."""

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        async with self.connected(request) as queue:
            while True:
                await response.write(await queue.get() + b"\n")


class LongPolling(_Server):
    """One message for each request."""

    def __init__(self) -> None:
        super().__init__()
        self.queue: asyncio.Queue[bytes] = asyncio.Queue()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        async with self.connected(request):
            return web.Response(body=await self.queue.get(), content_type="application/json")

    async def send(self, payload: bytes) -> None:
        self.queue.put_nowait(payload)


class WebSocket(_Server):
    scheme = "ws"

    def __init__(self) -> None:
        super().__init__()
        self.sockets: list[web.WebSocketResponse] = []

    async def close_connections(self) -> None:
        for socket in self.sockets[:]:
            await socket.close()
        await self.subscribed(0)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)

        async def write(queue: "asyncio.Queue[bytes]") -> None:
            while True:
                payload = await queue.get()
                try:
                    await socket.send_str(payload.decode())
                except UnicodeDecodeError:
                    await socket.send_bytes(payload)

        self.sockets.append(socket)
        async with self.connected(request) as queue:
            writing = asyncio.create_task(write(queue))
            async for _ in socket:
                pass
            writing.cancel()
            await asyncio.wait({writing})
            self.sockets.remove(socket)
        return socket


@asynccontextmanager
async def serving(server: Any) -> AsyncIterator[Any]:
    runner = web.ServerRunner(web.Server(server.handle, handler_cancellation=True), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        await runner.cleanup()


def workflow(subscription: str, more: str = "") -> str:
    """A workflow with one subscription, `s`."""
    return f"""
document: {{dsl: '1.0.3', namespace: test, name: subscribe, version: '1.0.0'}}
do:
  - s:
      call: asyncapi
      with:
        document: {{endpoint: 'api.json'}}
        operation: greet
        subscription: {subscription}
        {more}
"""


def numbered(output: Any) -> list[int]:
    """The numbers in the payloads of messages that tests have sent."""
    return [message["payload"]["n"] for message in output]


def number(n: int) -> bytes:
    return json.dumps({"n": n}).encode()
