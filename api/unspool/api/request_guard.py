"""Middleware around every request.

It rejects pages of other sites, adds security headers and counts requests.

A request comes from another site if its `Origin` differs from its `Host`, or if its `Host` is not a name of
this API: an attacker can make a name of their own site resolve to this machine (DNS rebinding).
"""

from time import perf_counter
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from unspool.api.authentication.authenticator import TENANT
from unspool.api.authentication.cookies import is_own_origin
from unspool.api.metrics import ApiMetrics, RequestLabels
from unspool.api.problems import problem_response
from unspool.api.security_headers import HTTPS_HEADERS, SECURITY_HEADERS

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})

ROUTE: Final = "unspool.route"
"""The member of a scope with the template of the path."""

_METHODS: Final = SAFE | {"POST", "PUT", "PATCH", "DELETE"}


class RequestGuard:
    """ASGI middleware around the whole API."""

    def __init__(
        self, app: ASGIApp, metrics: ApiMetrics, hosts: frozenset[str] | None, origins: frozenset[str]
    ) -> None:
        """Wraps an app.

        Args:
            app: the API.
            metrics: counts the requests.
            hosts: the accepted host names; None accepts any.
            origins: other sites whose pages may call the API.
        """
        self._app = app
        self._metrics = metrics
        self._hosts = hosts
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles a request and counts it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, started_at = 500, perf_counter()
        headers = SECURITY_HEADERS | (HTTPS_HEADERS if scope["scheme"] == "https" else {})

        async def guarded_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                present = {name for name, _ in message["headers"]}
                message["headers"] += [item for item in headers.items() if item[0] not in present]
            await send(message)

        self._metrics.in_progress += 1
        try:
            await self._app_for(scope)(scope, receive, guarded_send)
        finally:
            self._metrics.in_progress -= 1
            self._count(scope, status, perf_counter() - started_at)

    def _app_for(self, scope: Scope) -> ASGIApp:
        if self._hosts is not None and _host(scope) not in self._hosts:
            return reject_unknown_host
        return reject_cross_site if _is_cross_site(scope, self._origins) else self._app

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        route = scope.get(ROUTE, "none")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._metrics.answered(RequestLabels(method, route, status), scope.get(TENANT), seconds)


async def reject_cross_site(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers 403 to a page of another site that changes data through the browser of its visitor."""
    response = problem_response(Request(scope), 403, "requests from pages of other sites are refused")
    await response(scope, receive, send)


async def reject_unknown_host(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers 421 to a request whose `Host` is not a name of this API."""
    detail = "this API does not answer to that host name; set UNSPOOL_API_NAMES to the names it has"
    await problem_response(Request(scope), 421, detail)(scope, receive, send)


def _host(scope: Scope) -> str:
    """Returns the requested host without its port."""
    host = Headers(scope=scope).get("host", "").lower()
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).strip("[]")


def _is_cross_site(scope: Scope, allowed: frozenset[str]) -> bool:
    """Returns whether a page of another site sent the request, and not one that is allowed.

    Browsers send `Origin` with every unsafe request; programs do not.
    """
    if scope["method"] in SAFE:
        return False
    origin = Headers(scope=scope).get("origin")
    if origin is None or origin in allowed:
        return False
    return not is_own_origin(Request(scope), https=False)
