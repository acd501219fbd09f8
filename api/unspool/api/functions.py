"""Functions of executors: list them."""

import asyncio

from starlette.responses import Response

from unspool.api.calls import Call, json_response
from unspool.api.representations import function_json


async def list_functions(call: Call) -> Response:
    """Lists the functions that executors have registered, by name and version. All tenants can call them."""
    found, queues, now = await asyncio.gather(
        call.store.functions(), call.store.queues_served(), call.store.now()
    )
    return json_response({"items": [function_json(each, queues[each.queue], now) for each in found]})
