"""Which requests are sent again, and when. A server fails as it is told to, then answers."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from unspool.client import (
    AsyncClient,
    NoAnswer,
    NotFound,
    Problem,
    ServerFault,
    TimedOut,
    TooManyRequests,
    Unavailable,
)

EXECUTION = {
    "id": "it",
    "workflow": {"namespace": "shop", "name": "greet", "version": "1.0.0"},
    "status": "completed",
    "input": {},
    "output": 1,
    "createdAt": "2026-01-01T00:00:00.000Z",
    "startedAt": None,
    "endedAt": None,
    "parent": None,
    "tags": {},
    "tenant": "default",
    "by": None,
}

Failure = Callable[[web.Request], Awaitable[web.StreamResponse]]
Call = Callable[[AsyncClient], Awaitable[Any]]


def answer(status: int, **headers: str) -> Failure:
    """Answers with a problem."""

    async def fail(_: web.Request) -> web.StreamResponse:
        body = {"type": "about:blank", "title": "no", "status": status, "detail": "not now"}
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.json_response(body, status=status, headers=names, content_type="application/problem+json")

    return fail


async def hang_up(request: web.Request) -> web.StreamResponse:
    """Closes the connection without an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def never(_: web.Request) -> web.StreamResponse:
    """Does not answer."""
    await asyncio.Event().wait()
    raise AssertionError


class Server:
    """Fails once for each failure; answers after that. Remembers the requests."""

    def __init__(self, *failures: Failure) -> None:
        self.failures = list(failures)
        self.requests: list[str] = []
        self.bodies: list[bytes] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request.method)
        self.bodies.append(await request.read())
        if self.failures:
            return await self.failures.pop(0)(request)
        return web.json_response({**EXECUTION, "accepted": 1})


@asynccontextmanager
async def running(*failures: Failure, **options: Any) -> AsyncIterator[tuple[Server, AsyncClient]]:
    server = Server(*failures)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    listening = TestServer(app, handler_cancellation=True)
    await listening.start_server()
    async with AsyncClient(str(listening.make_url("/")), **options) as client:
        yield server, client
    await listening.close()


def read(client: AsyncClient) -> Awaitable[Any]:
    return client.execution("it")


def start_with_id(client: AsyncClient) -> Awaitable[Any]:
    return client.start("shop/greet", id="it")


def start_without_id(client: AsyncClient) -> Awaitable[Any]:
    return client.start("shop/greet")


def cancel(client: AsyncClient) -> Awaitable[Any]:
    return client.cancel("it")


@pytest.mark.parametrize("call", [read, start_with_id])
@pytest.mark.parametrize("failure", [answer(503), answer(429), hang_up])
async def test_a_safe_request_is_sent_again(call: Call, failure: Failure) -> None:
    async with running(failure, failure) as (server, client):
        assert (await call(client)).id == "it"
        assert len(server.requests) >= 3
        assert len(set(server.bodies)) == 1


@pytest.mark.parametrize("call", [start_without_id, cancel])
@pytest.mark.parametrize(("failure", "error"), [(answer(503), Unavailable), (hang_up, NoAnswer)])
async def test_a_request_that_may_have_had_an_effect_is_not_sent_again(
    call: Call, failure: Failure, error: type[Exception]
) -> None:
    async with running(failure) as (server, client):
        with pytest.raises(error):
            await call(client)
        assert len(server.requests) == 1


async def test_a_request_that_was_refused_before_all_else_is_sent_again() -> None:
    async with running(answer(429, Retry_After="0")) as (server, client):
        assert (await client.start("shop/greet")).id == "it"
        assert len(server.requests) == 2


async def test_an_event_is_sent_again_as_the_same_event() -> None:
    async with running(answer(503)) as (server, client):
        assert await client.publish({"type": "paid", "source": "/bank"}) == 1
        assert len(server.bodies) == 2
        assert len(set(server.bodies)) == 1


async def test_the_api_says_how_long_to_pause() -> None:
    async with running(answer(503, Retry_After="1")) as (_, client):
        loop = asyncio.get_running_loop()
        began = loop.time()
        await client.execution("it")
        assert loop.time() - began >= 1


async def test_a_long_pause_is_left_to_the_caller() -> None:
    async with running(answer(429, Retry_After="3600")) as (server, client):
        with pytest.raises(TooManyRequests) as refused:
            await client.execution("it")
        assert refused.value.retry_after == 3600
        assert len(server.requests) == 1


async def test_the_number_of_attempts_is_limited() -> None:
    async with running(*[answer(503)] * 9, attempts=3) as (server, client):
        with pytest.raises(Unavailable, match="not now"):
            await client.execution("it")
        assert len(server.requests) == 3


@pytest.mark.parametrize(("status", "error"), [(404, NotFound), (500, ServerFault), (302, Problem)])
async def test_other_answers_are_errors_at_once(status: int, error: type[Problem]) -> None:
    async with running(answer(status, Location="/elsewhere")) as (server, client):
        with pytest.raises(error) as raised:
            await client.execution("it")
        assert (raised.value.status, raised.value.detail) == (status, "not now")
        assert len(server.requests) == 1


async def test_an_answer_that_is_not_of_the_api() -> None:
    async def page(_: web.Request) -> web.StreamResponse:
        return web.Response(text="<h1>Welcome</h1>", content_type="text/html")

    async def broken(_: web.Request) -> web.StreamResponse:
        return web.Response(text="<h1>Oh</h1>", content_type="text/html", status=502)

    async with running(page, broken) as (_, client):
        with pytest.raises(Problem, match="not JSON"):
            await client.execution("it")
        with pytest.raises(ServerFault, match="502: Bad Gateway"):
            await client.execution("it")


async def test_an_answer_that_does_not_come_in_time() -> None:
    async with running(never, timeout=3.0) as (server, client):
        with pytest.raises(TimedOut) as late:
            await client.execution("it")
        assert isinstance(late.value, TimeoutError)
        assert len(server.requests) == 1


async def test_without_a_server_every_request_is_tried_again() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nothing listens
        port = taken.getsockname()[1]
        async with AsyncClient(f"http://127.0.0.1:{port}", attempts=2) as client:
            for call in (read, start_without_id):
                with pytest.raises(NoAnswer) as error:
                    await call(client)
                assert not error.value.sent
