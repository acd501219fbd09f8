"""Serving the API within a loop that others share, until it is asked to stop."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Final

import uvicorn
from starlette.applications import Starlette

from unspool.api.calls import Services
from unspool.api.settings import ApiSettings

BACKLOG: Final = 1024
"""Connections that may wait to be accepted."""


class _Server(uvicorn.Server):
    """A server that leaves signals to the program around it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(settings: ApiSettings) -> socket.socket:
    """Takes the address; with port 0 `getsockname()` tells which.

    Raises:
        OSError: it is taken, or none of this machine's.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # The protocol is named because asyncio turns Nagle's algorithm off for no other sockets: without it
    # every answer that is written in two parts waits 40 ms for the caller's delayed acknowledgement.
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
    """Serves until `stop` is set, then lets requests finish: waits and streams end at once.

    Args:
        app: what `create_app` made.
        settings: how long requests may take to finish.
        stop: ends it.
        on: a listening socket, from `listen`; closed at the end.
    """
    services: Services = app.state.services
    config = uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=settings.stop_seconds,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve([on]), name="api")
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        services.closing.set()
        server.should_exit = True
        await serving
