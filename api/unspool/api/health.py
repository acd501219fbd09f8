"""Liveness, readiness and metrics of this API process, and the state of sinks of events."""

import asyncio
from contextlib import suppress
from typing import Final

from starlette.responses import Response

from unspool.api.calls import Call, json_response
from unspool.api.metrics import MEDIA_TYPE
from unspool.api.sinks import sink_exposition, sink_json
from unspool.eventstore.errors import StoreUnavailable

PING_SECONDS: Final = 2.0
"""The longest time to wait for the store."""


async def live(_call: Call) -> Response:
    """Answers as long as the process runs."""
    return json_response({"status": "live"})


async def ready(call: Call) -> Response:
    """Answers 200 if the store answers and the API is not stopping; else 503.

    Also shows the sinks of events. One that is away does not make the API unready.
    """
    if call.services.closing.is_set():
        raise StoreUnavailable("the API is stopping")
    try:
        async with asyncio.timeout(PING_SECONDS):
            await call.store.ping()
            sinks = await call.store.sinks()
            now = await call.store.now() if sinks else 0
    except TimeoutError:
        raise StoreUnavailable(f"no answer for {PING_SECONDS} seconds") from None
    shown = {sink.name: sink_json(sink, now) for sink in sinks}
    return json_response({"status": "ready", "sinks": shown} if shown else {"status": "ready"})


async def metrics(call: Call) -> Response:
    """Returns the counters of this process and, unless the store is unavailable, those of sinks."""
    text = call.services.metrics.exposition()
    with suppress(StoreUnavailable, TimeoutError):
        async with asyncio.timeout(PING_SECONDS):
            text += sink_exposition(await call.store.sinks())
    return Response(text, media_type=MEDIA_TYPE)
