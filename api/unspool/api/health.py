"""Liveness, readiness and metrics of this API process, and the state of transports of events."""

from starlette.responses import Response

from unspool.api.calls import Call, json_response
from unspool.api.problems import HttpProblem
from unspool.eventstore.api_keys import Scope
from unspool.eventstore.errors import StoreUnavailable
from unspool.eventstore.monitoring.metric_set import MEDIA_TYPE
from unspool.eventstore.monitoring.monitor import NO_ANSWER


async def live(call: Call) -> Response:
    """Answers 200 while all services of this process run; else 503: they should be started again."""
    problems = await call.services.monitor.not_live()
    if problems:
        raise HttpProblem(503, "; ".join(problems))
    return json_response({"status": "live"})


async def ready(call: Call) -> Response:
    """Answers 200 if the store answers, all services of this process work and none stops; else 503.

    While authentication is off, also shows the sinks and sources of events. One that is away does not make
    the API unready.
    """
    if call.services.closing.is_set():
        raise StoreUnavailable("the API is stopping")
    problems = await call.services.monitor.not_ready()
    if problems == [NO_ANSWER]:
        raise StoreUnavailable(NO_ANSWER)
    if problems:
        raise HttpProblem(503, "; ".join(problems))
    if Scope.READ not in call.caller.scopes:
        return json_response({"status": "ready"})
    transports = await call.services.transports.read()
    return json_response({"status": "ready", **transports.json()})


async def metrics(call: Call) -> Response:
    """Returns the metrics of this process, and the figures of the store."""
    return Response(await call.services.monitor.metrics.refreshed(), media_type=MEDIA_TYPE)
