"""Errors of calls, as authors see them: they name the place and the cause, no secret and no inner address."""

import os
from http import HTTPStatus
from typing import Final

import aiohttp

from unspool.definitions.errors import WorkflowError, authorization, communication
from unspool.executor.egress import AddressRefused
from unspool.executor.http.request import HttpRequest
from unspool.executor.http.response import HttpResponse, UnreadableContent, content
from unspool.executor.masking import masked
from unspool.executor.outbound import CONNECT_SECONDS

_MAX_WORDS: Final = 300
"""Characters of a remote problem's own words that go into an error."""

_PHRASES: Final = {int(status): status.phrase for status in HTTPStatus}

_FAULTS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (aiohttp.ClientConnectorDNSError, "the host name could not be resolved"),
    (aiohttp.ClientConnectorCertificateError, "the server's certificate is not valid for it"),
    (aiohttp.ClientConnectorSSLError, "no TLS connection could be made"),
    (aiohttp.ConnectionTimeoutError, f"no connection within {CONNECT_SECONDS:g} s"),
    (aiohttp.ServerDisconnectedError, "the server closed the connection without an answer"),
    (aiohttp.ClientPayloadError, "the response broke off or could not be decompressed"),
    (aiohttp.ClientResponseError, "the response is not valid HTTP"),
)


def unsuccessful(request: HttpRequest, response: HttpResponse) -> WorkflowError:
    """A response whose status is an error (inventory J1, J2)."""
    status = response.status
    detail = f"{request.place} answered {status}"
    if words := _words_of_problem(response):
        detail += f": {words}"
    title = response.reason or _PHRASES.get(status, f"Status {status}")
    return communication(masked(detail, request.secrets), title=title, status=status)


def _words_of_problem(response: HttpResponse) -> str:
    """What a remote problem (RFC 9457) says of itself; other bodies were not written for our readers."""
    content_type = response.headers.get("Content-Type", "")
    if not content_type.startswith("application/problem+json"):
        return ""
    try:
        problem = content(response.body, content_type)
    except UnreadableContent:
        return ""
    words = (problem.get("detail") or problem.get("title")) if isinstance(problem, dict) else None
    return words[:_MAX_WORDS] if isinstance(words, str) else ""


def failed(request: HttpRequest, what: str, title: str = "Communication failed") -> WorkflowError:
    """A call that came to nothing, without a status of its own."""
    return communication(masked(f"{request.place}: {what}", request.secrets), title=title)


def unreachable(request: HttpRequest, error: Exception) -> WorkflowError:
    """A call that got no response, or not all of it."""
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, AddressRefused):
        return authorization(f"{request.url.origin()}: {error.os_error}", title="Address not allowed")
    if isinstance(error, aiohttp.InvalidURL):
        detail = f"{request.url.origin()}: addresses must be written the usual way"
        return authorization(detail, title="Address not allowed")
    return failed(request, _fault(error))


def _fault(error: Exception) -> str:
    for kind, text in _FAULTS:
        if isinstance(error, kind):
            return text
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return f"no connection: {os.strerror(error.errno)}"
    if isinstance(error, UnicodeError):
        return "the host name is not a valid one"
    return f"the connection failed ({type(error).__name__})"
