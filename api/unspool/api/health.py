"""Liveness, readiness and metrics of this API process, and the state of transports of events."""

import asyncio
from typing import Final

from starlette.responses import Response

from unspool.api.calls import Call, json_response
from unspool.api.metrics import MEDIA_TYPE
from unspool.eventstore.errors import StoreUnavailable

PING_SECONDS: Final = 2.0
"""The longest time to wait for the store."""


async def live(_call: Call) -> Response:
    """Answers as long as the process runs."""
    return json_response({"status": "live"})


async def ready(call: Call) -> Response:
    """Answers 200 if the store answers and the API is not stopping; else 503.

    Also shows the sinks and sources of events. One that is away does not make the API unready.
    """
    if call.services.closing.is_set():
        raise StoreUnavailable("the API is stopping")
    try:
        async with asyncio.timeout(PING_SECONDS):
            await call.store.ping()
    except TimeoutError:
        raise StoreUnavailable(f"no answer for {PING_SECONDS} seconds") from None
    transports = await call.services.transports.read()
    return json_response({"status": "ready", **transports.json()})


async def metrics(call: Call) -> Response:
    """Returns the counters of this process, and those of transports."""
    transports = await call.services.transports.read()
    return Response(call.services.metrics.exposition() + transports.exposition(), media_type=MEDIA_TYPE)
