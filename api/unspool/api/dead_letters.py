"""The dead letter queue: messages and tasks that failed too often, to read, requeue or delete."""

import re
from typing import Final

from starlette.responses import Response

from unspool.api import dead_letter_operations
from unspool.api.calls import Call, json_response
from unspool.api.problems import HttpProblem
from unspool.api.representations import dead_letter_json
from unspool.eventstore import ids

LETTER_ID: Final = re.compile(r"[A-Za-z0-9:._-]{1,128}")

MAX_ITEMS: Final = 1000


async def list_dead_letters(call: Call) -> Response:
    """Lists the tenant's dead letters, oldest first, without bodies and tracebacks."""
    limit = call.integer("limit", minimum=1, maximum=MAX_ITEMS) or 100
    execution = call.parameter("execution")
    if execution is not None and not ids.EXECUTION_ID.fullmatch(execution):
        raise HttpProblem(422, f"execution must match {ids.EXECUTION_ID.pattern}")
    cursor = call.parameter("cursor")
    try:
        page = await call.store.dead_letters(call.tenant, execution=execution, limit=limit, cursor=cursor)
    except ValueError:
        raise HttpProblem(422, "the cursor must be the `next` of a page of this list") from None
    return json_response({"items": [dead_letter_json(letter) for letter in page.items], "next": page.cursor})


async def show(call: Call) -> Response:
    """Returns one dead letter with the original message or task and the traceback."""
    letter = await call.store.dead_letter(call.tenant, _id(call))
    if letter is None:
        raise _not_found()
    return json_response(dead_letter_json(letter, whole=True))


async def requeue(call: Call) -> Response:
    """Puts a dead letter back into the queue it came from."""
    if not await dead_letter_operations.requeue(call.store, call.tenant, _id(call), call.actor()):
        raise _not_found()
    return json_response({"id": _id(call)}, 202)


async def discard(call: Call) -> Response:
    """Deletes a dead letter."""
    if not await dead_letter_operations.discard(call.store, call.tenant, _id(call), call.actor()):
        raise _not_found()
    return Response(status_code=204)


def _id(call: Call) -> str:
    id_: str = call.request.path_params["id"]
    if not LETTER_ID.fullmatch(id_):
        raise _not_found()
    return id_


def _not_found() -> HttpProblem:
    return HttpProblem(404, "there is no dead letter with that id; it may have been requeued or discarded")
