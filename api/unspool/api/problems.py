"""Errors as RFC 7807 problems (`application/problem+json`).

The type is always `about:blank`: the status says what kind of problem it is. `detail` names the cause and
what to do. Other members name the places.
"""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from unspool.api.bounded_work import TooMuchWork
from unspool.api.security_headers import SECURITY_HEADERS
from unspool.definitions.json_value import Json
from unspool.eventstore.errors import CorruptHistory, KeyMissing, NotFound, StoreUnavailable

log = logging.getLogger(__name__)

RETRY_AFTER_SECONDS: Final = 2

_DAMAGED: Final = "the stored history is damaged; the server's log says where"


class HttpProblem(Exception):
    """Ends a request with this problem as its response."""

    def __init__(self, status: int, detail: str, **members: Json) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.members = members
        self.headers: dict[str, str] = {}


def problem_response(
    request: Request,
    status: int,
    detail: str,
    members: Mapping[str, Json] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Returns the response for a problem."""
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
    """Answers an `HttpProblem`."""
    assert isinstance(error, HttpProblem)
    return problem_response(request, error.status, error.detail, error.members, error.headers)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answers requests that the router rejects: unknown paths and methods."""
    assert isinstance(error, HTTPException)
    details = {
        404: "there is no resource at this path; /api/docs describes the API",
        405: f"this path does not accept {request.method}",
    }
    detail = details.get(error.status_code, error.detail)
    return problem_response(request, error.status_code, detail, headers=error.headers)


async def on_store_unavailable(request: Request, error: Exception) -> Response:
    """Answers 503 when the store is unavailable. The cause can contain addresses, so only the log has it."""
    log.warning("the store is unavailable: %s", error, extra={"action": "store_unavailable"})
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return problem_response(request, 503, "the store cannot be reached; try again", headers=headers)


async def on_too_much_work(request: Request, error: Exception) -> Response:
    """Answers 429 or 503 when too many requests of a kind that takes long are under way."""
    assert isinstance(error, TooMuchWork)
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    status = 429 if error.of_tenant else 503
    return problem_response(request, status, f"{error}; try again", headers=headers)


async def on_key_missing(request: Request, error: Exception) -> Response:
    """Answers 503 when a payload is encrypted with a key that this process does not have."""
    log.error("%s", error, extra={"action": "key_missing"})
    return problem_response(request, 503, str(error))


async def on_not_found(request: Request, error: Exception) -> Response:
    """Answers 404 when what a request reads was deleted meanwhile, such as an execution after its time."""
    return problem_response(request, 404, str(error))


async def on_corrupt_history(request: Request, error: Exception) -> Response:
    """Answers 500 when a stored history is damaged. The cause can contain paths, so only the log has it."""
    log.error("%s: %s", request.url.path, error, extra={"action": "history_damaged"})
    return problem_response(request, 500, _DAMAGED)


def problem_in_stream(error: StoreUnavailable | CorruptHistory) -> dict[str, Json] | None:
    """Returns the problem that ends a stream that has begun; None if the client can just resume it."""
    match error:
        case KeyMissing():
            status, detail = 503, str(error)
            log.error("%s", error, extra={"action": "key_missing"})
        case StoreUnavailable():
            return None
        case _:
            status, detail = 500, _DAMAGED
            log.error("a stream: %s", error, extra={"action": "history_damaged"})
    return {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}


async def on_client_disconnect(request: Request, _error: Exception) -> Response:
    """Ends a request whose client disconnected while sending it. The client does not see this response."""
    return problem_response(request, 400, "the request body ended early")


async def on_defect(request: Request, _error: Exception) -> Response:
    """Answers 500 after a bug; the server logs it."""
    # No middleware sees this response, so it gets the headers here.
    headers = {name.decode(): value.decode() for name, value in SECURITY_HEADERS.items()}
    return problem_response(request, 500, "an internal error; the server's log has it", headers=headers)


HANDLERS: Final = {
    HttpProblem: on_problem,
    HTTPException: on_http_exception,
    StoreUnavailable: on_store_unavailable,
    TooMuchWork: on_too_much_work,
    KeyMissing: on_key_missing,
    NotFound: on_not_found,
    CorruptHistory: on_corrupt_history,
    ClientDisconnect: on_client_disconnect,
    Exception: on_defect,
}
