"""Serves over streamable HTTP: who may call, from where, and how much they may send."""

import asyncio
from collections.abc import Callable
from typing import Any, Final, Protocol

from mcp.server import Server, ServerRequestContext
from mcp.server.transport_security import TransportSecuritySettings
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from unspool.api.authentication.caller import ANY_CALLER, Caller, unauthenticated
from unspool.api.metrics import ApiMetrics
from unspool.api.problems import HttpProblem, problem_response
from unspool.api.request_guard import RequestGuard
from unspool.api.server import listen, running
from unspool.api.settings import ApiSettings
from unspool.client import AsyncClient, ClientError, Unauthorized
from unspool.eventstore.api_keys import Scope as KeyScope
from unspool.eventstore.errors import StoreUnavailable
from unspool.eventstore.monitoring.metric_set import MetricSet

PATH: Final = "/mcp"

_CALLER: Final = "unspool.caller"


class Keys(Protocol):
    """Knows the keys of callers."""

    async def caller(self, request: Request) -> Caller:
        """Returns who sends a request.

        Raises:
            HttpProblem: the request has no valid key.
        """
        ...


class KeysOfApi:
    """Asks the API whose key a caller has. An API without authentication would accept any text as a key."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def caller(self, request: Request) -> Caller:
        """As the protocol says."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip().isprintable():
            raise unauthenticated("send a key as Authorization: Bearer")
        try:
            async with AsyncClient(self._address, token=token.strip(), attempts=1) as client:
                known = await client.caller()
        except Unauthorized:
            raise unauthenticated("the key is not valid") from None
        except ClientError:
            raise HttpProblem(503, "the API does not answer") from None
        if not known.authentication:
            raise HttpProblem(503, "the API checks no keys; set UNSPOOL_AUTH=on for it")
        scopes = frozenset(scope for scope in KeyScope if scope in known.scopes)
        return Caller(known.name, known.tenant, scopes)


class CallersOfRequests:
    """The callers that `KeyGuard` has found."""

    def scopes(self, context: ServerRequestContext[Any, Any]) -> frozenset[KeyScope]:
        """What the key of a request allows; nothing without a request."""
        request = context.request
        caller = request.scope.get(_CALLER) if isinstance(request, Request) else None
        return caller.scopes if isinstance(caller, Caller) else frozenset()


class KeyGuard:
    """Middleware that accepts only requests with a valid key of the tenant."""

    def __init__(self, app: ASGIApp, keys: Keys | None, tenant: str) -> None:
        """Wraps an app. Without keys, every request is accepted."""
        self._app, self._keys, self._tenant = app, keys, tenant

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            scope[_CALLER] = await self._caller(Request(scope))
        except HttpProblem as problem:
            about = problem.status, problem.detail, problem.members, problem.headers
            await problem_response(Request(scope), *about)(scope, receive, send)
            return
        except StoreUnavailable:
            await problem_response(Request(scope), 503, "the store cannot be reached")(scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _caller(self, request: Request) -> Caller:
        if self._keys is None:
            return ANY_CALLER
        caller = await self._keys.caller(request)
        if caller.tenant not in (None, self._tenant):
            raise HttpProblem(403, "this key belongs to another tenant")
        return caller


async def serve(
    server: Server[Any],
    settings: ApiSettings,
    keys: Keys | None,
    tenant: str,
    stop: asyncio.Event,
    up: Callable[[str], None],
) -> None:
    """Serves until `stop` is set. `up` is called with the URL as soon as connections are accepted.

    Raises:
        OSError: the address cannot be used.
    """
    app = server.streamable_http_app(
        streamable_http_path=PATH,
        stateless_http=True,
        max_request_body_size=settings.max_input_bytes,
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),  # `RequestGuard`
    )
    metrics = ApiMetrics(MetricSet(), tenants=1)
    app.user_middleware = [
        Middleware(RequestGuard, metrics=metrics, hosts=settings.hosts, origins=settings.origins),
        Middleware(KeyGuard, keys=keys, tenant=tenant),
    ]
    socket = listen(settings)
    name = f"[{settings.host}]" if ":" in settings.host else settings.host
    async with server.session_manager.run(), running(app, socket):
        up(f"http://{name}:{socket.getsockname()[1]}{PATH}")
        await stop.wait()
