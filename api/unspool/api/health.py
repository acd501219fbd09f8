"""Liveness, readiness and metrics of this API process, and the state of transports of events."""

import asyncio
from typing import Final

from starlette.responses import Response

from unspool.api.calls import Call, json_response
from unspool.eventstore.api_keys import Scope
from unspool.eventstore.errors import StoreUnavailable
from unspool.eventstore.monitoring.metric_set import MEDIA_TYPE

PING_SECONDS: Final = 2.0
"""The longest time to wait for the store."""


async def live(_call: Call) -> Response:
    """Answers as long as the process runs."""
    return json_response({"status": "live"})


async def ready(call: Call) -> Response:
    """Answers 200 if the store answers and the API is not stopping; else 503.

    While authentication is off, also shows the sinks and sources of events. One that is away does not make
    the API unready.
    """
    if call.services.closing.is_set():
        raise StoreUnavailable("the API is stopping")
    try:
        async with asyncio.timeout(PING_SECONDS):
            await call.store.ping()
    except TimeoutError:
        raise StoreUnavailable(f"no answer for {PING_SECONDS} seconds") from None
    if Scope.READ not in call.caller.scopes:
        return json_response({"status": "ready"})
    transports = await call.services.transports.read()
    return json_response({"status": "ready", **transports.json()})


async def metrics(call: Call) -> Response:
    """Returns the metrics of this process, and the figures of the store."""
    await call.services.transports.read()
    return Response(call.services.metrics.exposition(), media_type=MEDIA_TYPE)
