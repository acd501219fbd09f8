"""Errors as RFC 7807 problems (`application/problem+json`).

The type is `about:blank` throughout: the status says what kind of problem it is, `detail` the cause and what
to do, and further members the places.
"""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from unspool.definitions.json_value import Json
from unspool.eventstore.errors import StoreUnavailable

log = logging.getLogger(__name__)

RETRY_AFTER_SECONDS: Final = 2


class Refused(Exception):
    """Ends a request with a problem."""

    def __init__(self, status: int, detail: str, **members: Json) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.members = members


def problem_response(
    request: Request,
    status: int,
    detail: str,
    members: Mapping[str, Json] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The answer that tells a problem."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": request.url.path,
        **(members or {}),
    }
    return Response(orjson.dumps(body), status, headers, media_type="application/problem+json")


async def on_problem(request: Request, error: Exception) -> Response:
    """Answers a `Refused`."""
    assert isinstance(error, Refused)
    return problem_response(request, error.status, error.detail, error.members)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answers what the router refuses: unknown paths and methods."""
    assert isinstance(error, HTTPException)
    details = {
        404: "there is nothing at this address",
        405: f"this address does not take {request.method}",
    }
    detail = details.get(error.status_code, error.detail)
    return problem_response(request, error.status_code, detail, headers=error.headers)


async def on_store_unavailable(request: Request, error: Exception) -> Response:
    """Answers when the store is away; the cause may name addresses and stays in the log."""
    log.warning("the store is away: %s", error, extra={"action": "store_away"})
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return problem_response(request, 503, "the store cannot be reached; try again", headers=headers)


async def on_client_disconnect(request: Request, _error: Exception) -> Response:
    """Ends a request whose caller hung up while sending it; nobody reads this."""
    return problem_response(request, 400, "the request body ended early")


async def on_defect(request: Request, _error: Exception) -> Response:
    """Answers a defect of ours, which the server logs."""
    return problem_response(request, 500, "an internal error; the server's log has it")


HANDLERS: Final = {
    Refused: on_problem,
    HTTPException: on_http_exception,
    StoreUnavailable: on_store_unavailable,
    ClientDisconnect: on_client_disconnect,
    Exception: on_defect,
}
