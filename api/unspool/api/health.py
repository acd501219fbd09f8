"""Whether the API lives, whether it can work, and what it has done."""

import asyncio
from typing import Final

from starlette.responses import Response

from unspool.api.calls import Call, answer
from unspool.api.metrics import MEDIA_TYPE
from unspool.eventstore.errors import StoreUnavailable

PING_SECONDS: Final = 2.0
"""How long the store may take to answer."""


async def live(_call: Call) -> Response:
    """The process answers."""
    return answer({"status": "live"})


async def ready(call: Call) -> Response:
    """The store answers, and the API is not about to stop."""
    if call.services.closing.is_set():
        raise StoreUnavailable("the API is stopping")
    try:
        async with asyncio.timeout(PING_SECONDS):
            await call.store.ping()
    except TimeoutError:
        raise StoreUnavailable(f"no answer for {PING_SECONDS} seconds") from None
    return answer({"status": "ready"})


async def metrics(call: Call) -> Response:
    """What this process has answered."""
    return Response(call.services.metrics.exposition(), media_type=MEDIA_TYPE)
