"""Serves over streamable HTTP: who may call, from where, and how much they may send."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, Final, NamedTuple, Protocol

from mcp.server import ServerRequestContext
from mcp.server.transport_security import TransportSecuritySettings
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from unspool.api.authentication.authenticator import Authenticator
from unspool.api.authentication.caller import ANY_CALLER, Caller, unauthenticated
from unspool.api.metrics import ApiMetrics
from unspool.api.problems import HttpProblem, problem_response
from unspool.api.request_guard import RequestGuard
from unspool.api.server import listen, running
from unspool.api.settings import ApiSettings
from unspool.cli.mcp.server import UnspoolServer
from unspool.cli.targets.api_target import ApiTarget, tenant_to_send
from unspool.cli.targets.port import Target
from unspool.cli.targets.store_target import StoreTarget
from unspool.client import AsyncClient, ClientError, Unauthorized
from unspool.eventstore.api_keys import Scope as KeyScope
from unspool.eventstore.errors import StoreUnavailable
from unspool.eventstore.monitoring.metric_set import MetricSet
from unspool.eventstore.waiting import done_before

PATH: Final = "/mcp"

_CALLER: Final = "unspool.caller"


class KnownCaller(NamedTuple):
    """Who sends a request, and what the tools work on in the name of this caller."""

    caller: Caller
    target: Target | None = None
    """None for that of the server."""


class Keys(Protocol):
    """Knows the keys of callers."""

    def known(self, request: Request) -> AbstractAsyncContextManager[KnownCaller]:
        """Who sends a request, while it lasts.

        Raises:
            HttpProblem: the request has no valid key.
        """
        ...


class KeysOfStore:
    """Looks for keys in the store, as the API does."""

    def __init__(self, authenticator: Authenticator, target: StoreTarget) -> None:
        self._authenticator, self._target = authenticator, target

    @asynccontextmanager
    async def known(self, request: Request) -> AsyncIterator[KnownCaller]:
        """As the protocol says. Histories name the key."""
        caller = await self._authenticator.caller(request)
        yield KnownCaller(caller, self._target.on_behalf_of(caller.name))


class KeysOfApi:
    """Asks the API whose key a caller has. An API without authentication would accept any text as a key."""

    def __init__(self, address: str, tenant: str) -> None:
        self._address = address
        self._tenant = tenant_to_send(tenant)

    @asynccontextmanager
    async def known(self, request: Request) -> AsyncIterator[KnownCaller]:
        """As the protocol says. The tools use the key of the caller, so histories name it."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip().isprintable():
            raise unauthenticated("send a key as Authorization: Bearer")
        async with AsyncClient(self._address, token=token.strip(), tenant=self._tenant) as client:
            yield KnownCaller(await self._caller(token.strip()), ApiTarget(client))

    async def _caller(self, token: str) -> Caller:
        try:
            async with AsyncClient(self._address, token=token, attempts=1) as client:
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
        known = _known(context)
        return frozenset() if known is None else known.caller.scopes

    def target(self, context: ServerRequestContext[Any, Any]) -> Target | None:
        """What the tools work on in the name of the caller."""
        known = _known(context)
        return None if known is None else known.target


def _known(context: ServerRequestContext[Any, Any]) -> KnownCaller | None:
    request = context.request
    known = request.scope.get(_CALLER) if isinstance(request, Request) else None
    return known if isinstance(known, KnownCaller) else None


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
        async with AsyncExitStack() as stack:
            try:
                scope[_CALLER] = await self._known(Request(scope), stack)
            except HttpProblem as problem:
                about = problem.status, problem.detail, problem.members, problem.headers
                await problem_response(Request(scope), *about)(scope, receive, send)
                return
            except StoreUnavailable:
                answer = problem_response(Request(scope), 503, "the store cannot be reached")
                await answer(scope, receive, send)
                return
            await self._app(scope, receive, send)

    async def _known(self, request: Request, stack: AsyncExitStack) -> KnownCaller:
        if self._keys is None:
            return KnownCaller(ANY_CALLER)
        known = await stack.enter_async_context(self._keys.known(request))
        if known.caller.tenant not in (None, self._tenant):
            raise HttpProblem(403, "this key belongs to another tenant")
        return known


async def serve(
    server: UnspoolServer,
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
    protocol = server.protocol()
    app = protocol.streamable_http_app(
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
    async with protocol.session_manager.run(), running(app, socket):
        up(f"http://{name}:{socket.getsockname()[1]}{PATH}")
        await done_before(server.changes.watch(), stop.wait())
