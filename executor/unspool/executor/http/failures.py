"""Errors of calls. Each names the request and the cause, but never a secret or a resolved address."""

import os
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

import aiohttp

from unspool.definitions.errors import WorkflowError, authorization, communication
from unspool.executor.egress import AddressRefused
from unspool.executor.http.request import HttpRequest
from unspool.executor.http.response import HttpResponse, UnreadableContent, content
from unspool.executor.http.retry_after import with_retry_after
from unspool.executor.masking import masked
from unspool.executor.outbound import CONNECT_SECONDS

_MAX_DETAIL: Final = 300
"""How many characters of a remote problem's text go into an error."""

_PHRASES: Final = {int(status): status.phrase for status in HTTPStatus}

_CAUSES: Final[tuple[tuple[type[Exception], str], ...]] = (
    (aiohttp.ClientConnectorDNSError, "the host name could not be resolved"),
    (aiohttp.ClientConnectorCertificateError, "the server's certificate is not valid for it"),
    (aiohttp.ClientConnectorSSLError, "no TLS connection could be made"),
    (aiohttp.ConnectionTimeoutError, f"no connection within {CONNECT_SECONDS:g} s"),
    (aiohttp.ServerDisconnectedError, "the server closed the connection without an answer"),
    (aiohttp.ClientPayloadError, "the response broke off or could not be decompressed"),
    (aiohttp.ClientResponseError, "the response is not valid HTTP"),
)


def status_error(request: HttpRequest, response: HttpResponse) -> WorkflowError:
    """The error for a response without success (inventory J1, J2), with its `Retry-After`."""
    status = response.status
    detail = f"{request.label} answered {status}"
    if text := _problem_text(response):
        detail += f": {text}"
    title = response.reason or _PHRASES.get(status, f"Status {status}")
    error = communication(masked(detail, request.secrets), title=title, status=status)
    return with_retry_after(error, response.headers, datetime.now(UTC))


def _problem_text(response: HttpResponse) -> str:
    """The detail or title of a remote problem (RFC 9457); other bodies are not quoted."""
    content_type = response.headers.get("Content-Type", "")
    if not content_type.startswith("application/problem+json"):
        return ""
    try:
        problem = content(response.body, content_type)
    except UnreadableContent:
        return ""
    text = (problem.get("detail") or problem.get("title")) if isinstance(problem, dict) else None
    return masked(text, ())[:_MAX_DETAIL] if isinstance(text, str) else ""


def call_error(request: HttpRequest, cause: str, title: str = "Communication failed") -> WorkflowError:
    """The error for a call that failed without a status."""
    return communication(masked(f"{request.label}: {cause}", request.secrets), title=title)


def connection_error(request: HttpRequest, error: Exception) -> WorkflowError:
    """The error for a call without a response, or with an incomplete one."""
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, AddressRefused):
        return authorization(f"{request.url.origin()}: {error.os_error}", title="Address not allowed")
    if isinstance(error, aiohttp.InvalidURL):
        detail = f"{request.url.origin()}: the address is written in an unusual form"
        return authorization(detail, title="Address not allowed")
    return call_error(request, _cause(error))


def _cause(error: Exception) -> str:
    for kind, text in _CAUSES:
        if isinstance(error, kind):
            return text
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return f"no connection: {os.strerror(error.errno)}"
    if isinstance(error, UnicodeError):
        return "the host name is not valid"
    return f"the connection failed ({type(error).__name__})"
