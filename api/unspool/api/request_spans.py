"""A span for each request that changes something. Only a process with traces imports this module."""

from collections.abc import Awaitable, Callable
from typing import Final

from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.requests import Request
from starlette.responses import Response

from unspool.api.problems import HttpProblem
from unspool.eventstore.monitoring.trace_context import trace_context
from unspool.eventstore.monitoring.traces import Traces

_PROPAGATOR: Final = TraceContextTextMapPropagator()
_SERVER_ERROR: Final = 500


class RequestSpans:
    """Opens spans around requests. What a request causes links to its span."""

    def __init__(self, traces: Traces) -> None:
        self._tracer = traces.provider.get_tracer("unspool.api")

    async def around(
        self, request: Request, route: str, answer: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        """Answers a request in a span, which is below that of the caller. `route` has no values."""
        with self._tracer.start_as_current_span(
            f"{request.method} {route}",
            _PROPAGATOR.extract(request.headers),
            SpanKind.SERVER,
            {"http.request.method": request.method, "http.route": route},
            record_exception=False,  # its message may quote the request
            set_status_on_exception=False,
        ) as span:
            context: dict[str, str] = {}
            _PROPAGATOR.inject(context)
            token = trace_context.set(context)
            try:
                response = await answer(request)
            except HttpProblem as problem:
                _answered(span, problem.status)
                raise
            except Exception as error:
                span.set_status(Status(StatusCode.ERROR, type(error).__name__))
                raise
            finally:
                trace_context.reset(token)
            _answered(span, response.status_code)
            return response


def _answered(span: Span, status: int) -> None:
    span.set_attribute("http.response.status_code", status)
    if status >= _SERVER_ERROR:
        span.set_status(Status(StatusCode.ERROR, str(status)))
