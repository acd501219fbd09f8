"""The HTTP API as an ASGI application: its routes, middleware and error handlers (docs/api.md)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from unspool.api import (
    cloud_events,
    dead_letters,
    diagrams,
    documentation,
    event_receivers,
    events,
    executions,
    functions,
    health,
    issuer_logins,
    keys,
    schedules,
    sessions,
    statistics,
    system,
    workflows,
)
from unspool.api.access import access_of, check_access
from unspool.api.authentication.authenticator import LOGIN, TENANT, Authenticator
from unspool.api.authentication.caller import ANY_CALLER, PUBLIC_CALLER
from unspool.api.authentication.cookies import CSRF_HEADER
from unspool.api.authentication.settings import AuthenticationSettings
from unspool.api.calls import Call, Services
from unspool.api.engine import Engine
from unspool.api.events import SSE
from unspool.api.folded_histories import FoldedHistories
from unspool.api.hooks import endpoint as webhooks
from unspool.api.hooks.configuration import Hooks
from unspool.api.issuer_logins import CALLBACK
from unspool.api.masked_store import MaskedStore
from unspool.api.metrics import ApiMetrics, add_transports
from unspool.api.problems import HANDLERS
from unspool.api.request_guard import ROUTE, SAFE, RequestGuard
from unspool.api.settings import ApiSettings
from unspool.api.transports import TransportReader
from unspool.dashboard import routes as dashboard_routes
from unspool.eventstore.clock import Clock
from unspool.eventstore.monitoring.monitor import Monitor
from unspool.eventstore.monitoring.settings import MonitoringSettings
from unspool.eventstore.monitoring.store_metrics import add_store
from unspool.eventstore.monitoring.trace_context import TRACEPARENT, TRACESTATE
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import MessageKind
from unspool.worker.idempotency_keys import IdempotencyKeys

if TYPE_CHECKING:
    from unspool.api.request_spans import RequestSpans

Handler = Callable[[Call], Awaitable[Response]]

V1: Final = "/api/v1"

RESOURCES: dict[str, dict[str, Handler]] = {
    f"{V1}/workflows": {"GET": workflows.list_workflows, "POST": workflows.deploy},
    f"{V1}/workflows/{{namespace}}/{{name}}": {"GET": workflows.list_versions},
    f"{V1}/workflows/{{namespace}}/{{name}}/executions": {"POST": executions.start},
    f"{V1}/workflows/{{namespace}}/{{name}}/statistics": {"GET": statistics.show},
    f"{V1}/workflows/{{namespace}}/{{name}}/{{version}}": {"GET": workflows.show},
    f"{V1}/workflows/{{namespace}}/{{name}}/{{version}}/diagram": {"GET": diagrams.show_definition},
    f"{V1}/workflows/{{namespace}}/{{name}}/{{version}}/findings": {"GET": workflows.findings},
    f"{V1}/workflows/{{namespace}}/{{name}}/{{version}}/input-check": {"POST": workflows.check_input},
    f"{V1}/executions": {"GET": executions.list_executions},
    f"{V1}/counts": {"GET": executions.counts},
    f"{V1}/executions/{{id}}": {"GET": executions.show},
    f"{V1}/executions/{{id}}/events": {"GET": events.list_events},
    f"{V1}/executions/{{id}}/events/stream": {"GET": events.stream_events},
    f"{V1}/executions/{{id}}/why": {"GET": executions.explain},
    f"{V1}/executions/{{id}}/state": {"GET": events.show_state},
    f"{V1}/executions/{{id}}/diagram": {"GET": diagrams.show_execution},
    f"{V1}/executions/{{id}}/timeline": {"GET": diagrams.show_timeline},
    f"{V1}/executions/{{id}}/cancel": {"POST": executions.operation(MessageKind.CANCEL)},
    f"{V1}/executions/{{id}}/suspend": {"POST": executions.operation(MessageKind.SUSPEND)},
    f"{V1}/executions/{{id}}/resume": {"POST": executions.operation(MessageKind.RESUME)},
    f"{V1}/executions/{{id}}/retry": {"POST": executions.operation(MessageKind.RETRY)},
    f"{V1}/events": {"POST": cloud_events.publish},
    f"{V1}/events/stream": {"GET": cloud_events.stream},
    f"{V1}/events/{{position}}": {"GET": event_receivers.show},
    f"{V1}/functions": {"GET": functions.list_functions},
    f"{V1}/hooks/{{name}}": {"POST": webhooks.receive},
    f"{V1}/schedules": {"GET": schedules.list_schedules},
    f"{V1}/schedules/{{id}}/pause": {"POST": schedules.operation(MessageKind.SUSPEND)},
    f"{V1}/schedules/{{id}}/resume": {"POST": schedules.operation(MessageKind.RESUME)},
    f"{V1}/dlq": {"GET": dead_letters.list_dead_letters},
    f"{V1}/dlq/{{id}}": {"GET": dead_letters.show, "DELETE": dead_letters.discard},
    f"{V1}/dlq/{{id}}/requeue": {"POST": dead_letters.requeue},
    f"{V1}/keys": {"GET": keys.list_keys, "POST": keys.create},
    f"{V1}/keys/{{id}}": {"DELETE": keys.revoke},
    f"{V1}/session": {"GET": sessions.show, "POST": sessions.log_in, "DELETE": sessions.log_out},
    LOGIN: {"GET": issuer_logins.begin},
    CALLBACK: {"GET": issuer_logins.finish},
    f"{V1}/services": {"GET": system.list_services},
    "/health/live": {"GET": health.live},
    "/health/ready": {"GET": health.ready},
    "/metrics": {"GET": health.metrics},
    "/api/diagram.css": {"GET": diagrams.show_stylesheet},
    "/api/openapi.json": {"GET": documentation.openapi},
    "/api/docs": {"GET": documentation.page},
}
"""Every path with the methods it accepts. The paths for executions and statistics come before the path for
versions: no version can have such a name."""


def create_app(
    store: EventStore,
    engine: Engine,
    settings: ApiSettings,
    clock: Clock,
    hooks: Hooks | None = None,
    monitor: Monitor | None = None,
    authenticator: Authenticator | None = None,
    spans: "RequestSpans | None" = None,
) -> Starlette:
    """Returns the API on an open store. To stop it, set `app.state.services.closing`, as `serve` does.

    `monitor` knows other services of the process. Without an authenticator, every request is accepted. With
    `spans`, requests that change something are in traces.
    """
    monitor = monitor or Monitor(store, MonitoringSettings())
    views = MaskedStore(store)
    transports = TransportReader(store)
    _add_metrics(monitor, transports)
    services = Services(
        store=views,
        unmasked=store,
        engine=engine,
        settings=settings,
        clock=clock,
        monitor=monitor,
        requests=ApiMetrics(monitor.metrics, monitor.settings.tenants),
        keys=IdempotencyKeys(store, engine.jq),
        hooks=hooks or Hooks(),
        transports=transports,
        authenticator=authenticator or Authenticator(store, clock, AuthenticationSettings()),
        layouts=diagrams.layouts(store, engine.jq),
        folded=FoldedHistories(views),
        closing=asyncio.Event(),
    )
    app = Starlette(
        routes=[
            *(_route(path, handlers, services, spans) for path, handlers in RESOURCES.items()),
            *dashboard_routes(),
        ],
        middleware=_middleware(services),
        exception_handlers=HANDLERS,
    )
    app.router.redirect_slashes = False
    app.state.services = services
    return app


def _middleware(services: Services) -> list[Middleware]:
    settings = services.settings
    guard = Middleware(
        RequestGuard, metrics=services.requests, hosts=settings.hosts, origins=settings.origins
    )
    if not settings.origins:
        return [guard]
    headers = [
        "Authorization",
        "Content-Type",
        "Last-Event-ID",
        "X-Tenant",
        TRACEPARENT,
        TRACESTATE,
        CSRF_HEADER,
    ]
    methods = ["GET", "POST", "DELETE"]
    cors = Middleware(
        CORSMiddleware, allow_origins=sorted(settings.origins), allow_methods=methods, allow_headers=headers
    )
    return [guard, cors]


def _add_metrics(monitor: Monitor, transports: TransportReader) -> None:
    """Adds the metrics that are those of the whole store."""
    metrics, status = monitor.metrics, monitor.status
    add_store(metrics, lambda: status.last)
    add_transports(metrics, lambda: (transports.last.sinks, transports.last.sources))
    metrics.refreshing.extend((status.read, transports.read))


def _route(
    path: str, handlers: dict[str, Handler], services: Services, spans: "RequestSpans | None"
) -> Route:
    by_method = {"HEAD": handlers["GET"], **handlers} if "GET" in handlers else handlers
    access, authenticator = access_of(path), services.authenticator

    async def endpoint(request: Request) -> Response:
        request.scope[ROUTE] = path
        if spans is None or request.method in SAFE:
            return await answer(request)
        return await spans.around(request, path, answer)

    async def answer(request: Request) -> Response:
        required = access[request.method]
        if required.public:
            caller = PUBLIC_CALLER if authenticator.settings.on else ANY_CALLER
        else:
            caller = await authenticator.caller(request)
            check_access(caller, required)
        call = Call.of(request, services, caller)
        if not required.public:
            request.scope[TENANT] = call.tenant
        response = await by_method[request.method](call)
        if (
            isinstance(response, StreamingResponse)
            and response.media_type == SSE
            and authenticator.settings.on
        ):
            response.body_iterator = authenticator.while_accepted(caller, response.body_iterator)
        return response

    return Route(path, endpoint, methods=list(handlers))
