"""What any service serves on the port for monitoring: `/metrics`."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from unspool.eventstore.monitoring.metric_set import MEDIA_TYPE, MetricSet


def monitoring_app(metrics: MetricSet) -> Starlette:
    """Returns the application of the port for monitoring. It only reads."""

    async def exposition(_request: Request) -> Response:
        return Response(metrics.exposition(), media_type=MEDIA_TYPE)

    return Starlette(routes=[Route("/metrics", exposition)])
