"""A service that records each request with its idempotency key and its time."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from aiohttp import web


class Arrival(NamedTuple):
    """A request."""

    key: str
    """Its `Idempotency-Key`."""
    path: str
    at: int
    """Milliseconds since 1970."""


class Arrivals(list[Arrival]):
    """Requests in the order in which they arrived."""

    @web.middleware
    async def record(self, request: web.Request, handler) -> web.StreamResponse:  # type: ignore[no-untyped-def] # aiohttp's
        """Records a request before it is handled."""
        key = request.headers.get("Idempotency-Key", "")
        self.append(Arrival(key, request.path, time.time_ns() // 1_000_000))
        return await handler(request)

    def to(self, place: str) -> list[str]:
        """Returns the keys of the requests to a place."""
        return [arrival.key for arrival in self if arrival.path.startswith(f"/{place}/")]

    def first(self) -> dict[str, int]:
        """Returns when each key arrived first."""
        return {arrival.key: arrival.at for arrival in reversed(self)}


class Ledger:
    """Books each order once for each key.

    `/book/ORDER` answers at once. `/flaky/ORDER` fails with 503 the first time. `/held/ORDER` books at once
    and answers when the gate is open. `/slow/ORDER` books at once and answers after two seconds.
    """

    def __init__(self) -> None:
        self.arrivals = Arrivals()
        self.booked: dict[str, str] = {}
        """The path by key: effects."""
        self.gate = asyncio.Event()
        self._failures: Counter[str] = Counter()

    async def book(self, request: web.Request) -> web.Response:
        """Books."""
        self.booked[request.headers["Idempotency-Key"]] = request.path
        return web.json_response({"booked": request.path}, status=201)

    async def flaky(self, request: web.Request) -> web.Response:
        """Books at the second attempt."""
        self._failures[request.path] += 1
        if self._failures[request.path] == 1:
            return web.json_response({"status": 503}, status=503)
        return await self.book(request)

    async def hold(self, request: web.Request) -> web.Response:
        """Books, and answers when the gate is open."""
        response = await self.book(request)
        await self.gate.wait()
        return response

    async def book_slowly(self, request: web.Request) -> web.Response:
        """Books, and answers later."""
        response = await self.book(request)
        await asyncio.sleep(2)
        return response

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Runs the service; yields its address."""
        app = web.Application()
        app.add_routes(
            [
                web.post("/book/{order}", self.book),
                web.post("/flaky/{order}", self.flaky),
                web.post("/held/{order}", self.hold),
                web.post("/slow/{order}", self.book_slowly),
            ]
        )
        async with serving(app, self.arrivals) as address:
            yield address


@asynccontextmanager
async def serving(app: web.Application, arrivals: Arrivals) -> AsyncIterator[str]:
    """Serves an application on a free port; records the requests."""
    app.middlewares.insert(0, arrivals.record)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()
