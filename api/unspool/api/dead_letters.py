"""Dead letters: what failed too often, to be looked at, put back or forgotten."""

import re
from typing import Final

from starlette.responses import Response

from unspool.api.calls import Call, answer
from unspool.api.problems import Refused
from unspool.api.representations import dead_letter_json
from unspool.eventstore import ids

LETTER_ID: Final = re.compile(r"[A-Za-z0-9:._-]{1,128}")

MOST_ITEMS: Final = 1000


async def list_dead_letters(call: Call) -> Response:
    """The tenant's dead letters, oldest first, without bodies and tracebacks."""
    limit = call.whole("limit", least=1, most=MOST_ITEMS) or 100
    execution = call.parameter("execution")
    if execution is not None and not ids.EXECUTION_ID.fullmatch(execution):
        raise Refused(422, f"execution must match {ids.EXECUTION_ID.pattern}")
    cursor = call.parameter("cursor")
    try:
        page = await call.store.dead_letters(call.tenant, execution=execution, limit=limit, cursor=cursor)
    except ValueError:
        raise Refused(422, "the cursor is none that a page of this list gave as `next`") from None
    return answer({"items": [dead_letter_json(letter) for letter in page.items], "next": page.cursor})


async def show(call: Call) -> Response:
    """One dead letter with the original message or task and the traceback."""
    letter = await call.store.dead_letter(call.tenant, _id(call))
    if letter is None:
        raise _not_found()
    return answer(dead_letter_json(letter, whole=True))


async def requeue(call: Call) -> Response:
    """Puts a dead letter back where it came from."""
    if not await call.store.requeue(call.tenant, _id(call)):
        raise _not_found()
    return answer({"id": _id(call)}, 202)


async def discard(call: Call) -> Response:
    """Forgets a dead letter."""
    if not await call.store.discard(call.tenant, _id(call)):
        raise _not_found()
    return Response(status_code=204)


def _id(call: Call) -> str:
    id_: str = call.request.path_params["id"]
    if not LETTER_ID.fullmatch(id_):
        raise _not_found()
    return id_


def _not_found() -> Refused:
    return Refused(404, "there is no dead letter of that id; it may have been put back or discarded")
