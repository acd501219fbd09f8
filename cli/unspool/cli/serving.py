"""The HTTP API within a process of ours."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import replace

from unspool.api.app import create_app
from unspool.api.engine import Engine
from unspool.api.server import listen, serve
from unspool.api.settings import ApiSettings
from unspool.cli.exits import Stop
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
        store: stays open.
        stop: ends it gracefully.
        host: in place of the setting's.
        port: likewise; 0 takes a free one.
        up: is told the URL, once connections are accepted.

    Raises:
        Stop: the address cannot be used.
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
        raise Stop(f"cannot listen on {settings.host} port {settings.port}: {error.strerror}") from None
    name = f"[{settings.host}]" if ":" in settings.host else settings.host
    up(f"http://{name}:{socket.getsockname()[1]}")
    with jq_pool(os.environ) as jq:
        await serve(create_app(store, Engine(jq), settings, SystemClock()), settings, stop, socket)
