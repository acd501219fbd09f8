"""What every request passes: pages of other sites are kept out, answers get headers, all are counted.

A page is of another site if its origin is another one than the address asked, or if that address is none of
ours: a name of the page's own site may be made to lead to this machine (DNS rebinding).
"""

from time import perf_counter
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from unspool.api.metrics import Answered, Metrics
from unspool.api.problems import problem_response

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})

_METHODS: Final = SAFE | {"POST", "PUT", "PATCH", "DELETE"}

_HEADERS: Final = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cache-control": b"no-store",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
}
"""Added to every answer that does not set them itself."""


class Perimeter:
    """ASGI middleware around the whole API."""

    def __init__(self, app: ASGIApp, metrics: Metrics, hosts: frozenset[str] | None) -> None:
        """Wraps an app.

        Args:
            app: the API.
            metrics: where requests are counted.
            hosts: the names under which it may be asked for; None for any.
        """
        self._app = app
        self._metrics = metrics
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on and counts it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, began = 500, perf_counter()

        async def guarded_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                present = {name for name, _ in message["headers"]}
                message["headers"] += [item for item in _HEADERS.items() if item[0] not in present]
            await send(message)

        self._metrics.in_progress += 1
        try:
            await self._app_for(scope)(scope, receive, guarded_send)
        finally:
            self._metrics.in_progress -= 1
            self._count(scope, status, perf_counter() - began)

    def _app_for(self, scope: Scope) -> ASGIApp:
        if self._hosts is not None and _host(scope) not in self._hosts:
            return refuse_other_names
        return refuse_other_sites if _from_another_site(scope) else self._app

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        route = scope.get("unspool.route", "none")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._metrics.requests[Answered(method, route, status)] += 1
        self._metrics.seconds[route] += seconds


async def refuse_other_sites(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers a page of another site that tries to change something through its visitor's browser."""
    response = problem_response(Request(scope), 403, "requests from pages of other sites are refused")
    await response(scope, receive, send)


async def refuse_other_names(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers a request for a name under which this API is not served."""
    detail = "this API is not served under that name; UNSPOOL_API_NAMES lists those it is"
    await problem_response(Request(scope), 421, detail)(scope, receive, send)


def _host(scope: Scope) -> str:
    """The host that was asked for, without its port."""
    host = Headers(scope=scope).get("host", "").lower()
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).strip("[]")


def _from_another_site(scope: Scope) -> bool:
    """Browsers name the page's origin in every request that may change something; programs do not."""
    if scope["method"] in SAFE:
        return False
    headers = Headers(scope=scope)
    origin = headers.get("origin")
    if origin is None:
        return False
    try:
        return urlsplit(origin).netloc != headers.get("host")
    except ValueError:
        return True
