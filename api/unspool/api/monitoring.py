"""What any service serves on the port for monitoring: `/metrics`, `/health` and `/config`."""

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from unspool.eventstore.monitoring.metric_set import MEDIA_TYPE
from unspool.eventstore.monitoring.monitor import Monitor


def monitoring_app(monitor: Monitor) -> Starlette:
    """Returns the application of the port for monitoring. It only reads."""

    async def exposition(_request: Request) -> Response:
        return Response(await monitor.metrics.refreshed(), media_type=MEDIA_TYPE)

    async def live(_request: Request) -> Response:
        return _answer("live", await monitor.not_live())

    async def ready(_request: Request) -> Response:
        return _answer("ready", await monitor.not_ready())

    async def configuration(_request: Request) -> Response:
        return JSONResponse(dict(monitor.configuration))

    return Starlette(
        routes=[
            Route("/metrics", exposition),
            Route("/config", configuration),
            Route("/health/live", live),
            Route("/health/ready", ready),
        ]
    )


def _answer(status: str, problems: Sequence[str]) -> Response:
    if not problems:
        return JSONResponse({"status": status})
    return JSONResponse({"status": f"not {status}", "problems": list(problems)}, 503)
