"""Serves the API on an event loop that it shares with other services, until it is stopped."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Final, Protocol

import uvicorn
from starlette.applications import Starlette

from unspool.api.http_protocol import protocol
from unspool.api.settings import ApiSettings

if TYPE_CHECKING:  # the port for monitoring needs no services of the API
    from unspool.api.calls import Services

BACKLOG: Final = 1024
"""Connections that can wait to be accepted."""

_TICK_SECONDS: Final = 1.0
_CLOSED_SECONDS: Final = 0.005
"""Between two looks whether all connections have been closed."""

log = logging.getLogger(__name__)


class _Server(uvicorn.Server):
    """A server that does not install signal handlers; the program has its own. It stops without pauses."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Lets `serve` end."""
        self.should_exit = True
        self._stopping.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        """Renews the header `Date` each second until the server is stopped."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TICK_SECONDS):
                    await self._stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends idle connections at once, and the others when their response has ended or time is up."""
        for listening in (*self.servers, *(sockets or ())):
            listening.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        try:
            async with asyncio.timeout(self.config.timeout_graceful_shutdown):
                while self.server_state.connections or self.server_state.tasks:  # noqa: ASYNC110 - no event
                    await asyncio.sleep(_CLOSED_SECONDS)
        except TimeoutError:
            log.warning("%d requests have not ended in time", len(self.server_state.tasks))
            for task in self.server_state.tasks:
                task.cancel()


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
        server.stop()
        await serving


@contextlib.asynccontextmanager
async def running(app: Starlette, on: socket.socket) -> AsyncIterator[None]:
    """Serves an application while the context is open. At its end, requests have a second to finish."""
    server = _server(app, stop_seconds=1)
    serving = asyncio.create_task(server.serve([on]), name="monitoring")
    try:
        yield
    finally:
        server.stop()
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
