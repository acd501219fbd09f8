"""What every request passes: pages of other sites are kept out, answers get headers, all are counted."""

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

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

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
            app = refuse_other_sites if _from_another_site(scope) else self._app
            await app(scope, receive, guarded_send)
        finally:
            self._metrics.in_progress -= 1
            self._count(scope, status, perf_counter() - began)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        route = scope.get("unspool.route", "none")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._metrics.requests[Answered(method, route, status)] += 1
        self._metrics.seconds[route] += seconds


async def refuse_other_sites(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers a page of another site that tries to change something through its visitor's browser."""
    response = problem_response(Request(scope), 403, "requests from pages of other sites are refused")
    await response(scope, receive, send)


def _from_another_site(scope: Scope) -> bool:
    """Browsers name the page's origin in every request that may change something; programs do not."""
    if scope["method"] in SAFE:
        return False
    headers = Headers(scope=scope)
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host")
