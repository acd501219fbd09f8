"""The services that a case calls: a real HTTP server that gives the replies of the case."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from aiohttp import web
from tests.conformance.case import Case, Exchange
from tests.greeter import greeter


@dataclass
class StandIn:
    """Replies to each request with the first exchange for it that is not used yet."""

    waiting: list[Exchange]
    differences: list[str] = field(default_factory=list)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        for exchange in self.waiting:
            if (request.method, request.raw_path) == (exchange.method, exchange.target):
                self.waiting.remove(exchange)
                if exchange.reply.get("drop"):  # a client may send such a request again
                    self.waiting.append(replace(exchange, optional=True))
                self.differences += _differences(exchange, request, body)
                return await _reply(exchange, request)
        self.differences.append(f"unexpected request: {request.method} {request.raw_path}")
        return web.Response(status=501)

    def problems(self) -> list[str]:
        """Returns what was different from the case, after its end."""
        missing = [each for each in self.waiting if not each.optional]
        return [*self.differences, *(f"no request: {each.method} {each.target}" for each in missing)]


@asynccontextmanager
async def standing_in(case: Case) -> AsyncIterator[tuple[Case, StandIn]]:
    """Runs the stand-in of a case; yields the case with its address."""
    if case.calls_grpc:
        async with greeter() as service:
            yield case.with_grpc(service.port), StandIn([])
        return
    stand_in = StandIn(case.exchanges)
    if not case.exchanges:
        yield case, stand_in
        return
    runner = web.ServerRunner(web.Server(stand_in.handle), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        running = case.with_services(runner.addresses[0][1])
        stand_in.waiting = running.exchanges
        yield running, stand_in
    finally:
        await runner.cleanup()


def _differences(exchange: Exchange, request: web.BaseRequest, body: bytes) -> list[str]:
    found = []
    for name, value in exchange.expected.get("headers", {}).items():
        if request.headers.get(name) != value:
            found.append(f"header {name}: {request.headers.get(name)!r}, expected {value!r}")
    if "body" in exchange.expected:
        expected = exchange.expected["body"]
        sent = body.decode() if isinstance(expected, str) else json.loads(body or b"null")
        if sent != expected:
            found.append(f"body: {sent!r}, expected {expected!r}")
    return [f"{exchange.method} {exchange.target}: {each}" for each in found]


async def _reply(exchange: Exchange, request: web.BaseRequest) -> web.StreamResponse:
    reply = exchange.reply
    if reply.get("never"):
        await asyncio.sleep(3600)  # cancelled when the client disconnects
    if reply.get("drop"):
        assert request.transport is not None
        request.transport.close()
    kind, body = _content(reply)
    if "frames" in reply:
        return await _frames(reply["frames"], request)
    headers = {**({"Content-Type": kind} if body else {}), **reply.get("headers", {})}
    return web.Response(status=reply.get("status", 200), body=body, headers=headers)


async def _frames(frames: list[Any], request: web.BaseRequest) -> web.StreamResponse:
    """Sends frames over a WebSocket, and waits until the client closes it."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    for frame in frames:
        await socket.send_str(json.dumps(frame))
    async for _ in socket:
        pass
    return socket


def _content(reply: Any) -> tuple[str, bytes]:
    if "base64" in reply:
        return "application/octet-stream", base64.b64decode(reply["base64"])
    body = reply.get("body", "")
    return ("text/plain", body.encode()) if isinstance(body, str) else ("application/json", _json(body))


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()
