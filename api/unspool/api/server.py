"""Serves the API on an event loop that it shares with other services, until it is stopped."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Final, Protocol

import uvicorn
from starlette.applications import Starlette

from unspool.api.calls import Services
from unspool.api.http_protocol import protocol
from unspool.api.settings import ApiSettings

BACKLOG: Final = 1024
"""Connections that can wait to be accepted."""


class _Server(uvicorn.Server):
    """A server that does not install signal handlers; the program has its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Address(Protocol):
    """Settings with an address."""

    @property
    def host(self) -> str:
        """A name or a number."""

    @property
    def port(self) -> int:
        """0 chooses a free one."""


def listen(settings: Address) -> socket.socket:
    """Binds the address and listens. With port 0, `getsockname()` returns the port.

    Raises:
        OSError: the address is in use, or does not belong to this machine.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # Name the protocol: asyncio turns off Nagle's algorithm only for sockets that do. With that algorithm,
    # every response written in two parts waits 40 ms for the client's delayed acknowledgement.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((settings.host, settings.port))
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


async def serve(app: Starlette, settings: ApiSettings, stop: asyncio.Event, on: socket.socket) -> None:
    """Serves until `stop` is set. Then waits and streams end at once and other requests finish.

    Args:
        app: the result of `create_app`.
        settings: how long requests may take to finish.
        stop: set it to stop the server.
        on: a listening socket from `listen`; this function closes it.
    """
    services: Services = app.state.services
    server = _server(app, settings.stop_seconds)
    serving = asyncio.create_task(server.serve([on]), name="api")
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        services.closing.set()
        server.should_exit = True
        await serving


@contextlib.asynccontextmanager
async def running(app: Starlette, on: socket.socket) -> AsyncIterator[None]:
    """Serves an application while the context is open. At its end, requests have a second to finish."""
    server = _server(app, stop_seconds=1)
    serving = asyncio.create_task(server.serve([on]), name="monitoring")
    try:
        yield
    finally:
        server.should_exit = True
        await serving


def _server(app: Starlette, stop_seconds: int) -> _Server:
    config = uvicorn.Config(
        app,
        http=protocol,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=stop_seconds,
    )
    return _Server(config)
