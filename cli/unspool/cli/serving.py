"""Serves the HTTP API inside a command."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import replace

from unspool.api.app import create_app
from unspool.api.engine import Engine
from unspool.api.server import listen, serve
from unspool.api.settings import ApiSettings
from unspool.cli.exits import CommandError
from unspool.cli.jq import jq_pool
from unspool.eventstore.clock import SystemClock
from unspool.eventstore.port import EventStore
from unspool.eventstore.settings import from_environment


async def serve_api(
    store: EventStore,
    stop: asyncio.Event,
    *,
    host: str | None = None,
    port: int | None = None,
    up: Callable[[str], None],
) -> None:
    """Serves the API on an open store until `stop` is set.

    Args:
        store: an open store; this function leaves it open.
        stop: set it to stop the API gracefully.
        host: replaces `UNSPOOL_API_HOST`.
        port: replaces `UNSPOOL_API_PORT`; 0 takes a free one.
        up: called with the URL as soon as connections are accepted.

    Raises:
        CommandError: the address cannot be used.
    """
    settings = from_environment(ApiSettings, os.environ)
    settings = replace(
        settings,
        host=settings.host if host is None else host,
        port=settings.port if port is None else port,
    )
    try:
        socket = listen(settings)
    except OSError as error:
        raise CommandError(
            f"cannot listen on {settings.host} port {settings.port}: {error.strerror}"
        ) from None
    name = f"[{settings.host}]" if ":" in settings.host else settings.host
    up(f"http://{name}:{socket.getsockname()[1]}")
    with jq_pool(os.environ) as jq:
        await serve(create_app(store, Engine(jq), settings, SystemClock()), settings, stop, socket)
