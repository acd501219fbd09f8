"""A span for each delivery of a task to its handler. Only a process with traces imports this module."""

from dataclasses import dataclass, field
from typing import Final

from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from unspool.eventstore.monitoring.trace_context import trace_context
from unspool.eventstore.monitoring.traces import Traces
from unspool.eventstore.records import ExecutionKey, TaskRequest
from unspool.executor.outcome import Faulted, HandedBack, Handler, Outcome
from unspool.executor.task_context import TaskContext

_PROPAGATOR: Final = TraceContextTextMapPropagator()


@dataclass(slots=True)
class TracedHandler:
    """A handler that runs in a span. A worker sends its parent, the span of the run, later."""

    handler: Handler
    traces: Traces
    tracer: Tracer = field(init=False)

    def __post_init__(self) -> None:
        self.tracer = self.traces.provider.get_tracer("unspool.executor")

    async def __call__(self, request: TaskRequest, context: TaskContext) -> Outcome:
        """See `Handler`."""
        run = await self.traces.context(ExecutionKey(context.tenant, request.execution), request.run)
        with self.tracer.start_as_current_span(
            request.kind,
            set_span_in_context(NonRecordingSpan(run)),
            SpanKind.CLIENT,
            _attributes(request, context),
            record_exception=False,  # its message may quote data of the workflow
            set_status_on_exception=False,
        ) as span:
            headers: dict[str, str] = {}
            _PROPAGATOR.inject(headers)
            token = trace_context.set(headers)
            try:
                outcome = await self.handler(request, context)
            except HandedBack:
                raise
            except Exception as error:
                _mark(span, type(error).__name__)
                raise
            finally:
                trace_context.reset(token)
            if isinstance(outcome, Faulted):
                _mark(span, outcome.error.type)
            return outcome


def _attributes(request: TaskRequest, context: TaskContext) -> dict[str, str | int]:
    return {
        "unspool.tenant": context.tenant,
        "unspool.execution": request.execution,
        "unspool.run": request.run,
        "unspool.task": request.task,
        "unspool.attempt": context.attempt,
    }


def _mark(span: Span, error: str) -> None:
    """Marks a span as failed. Only the type is sent, because the detail may quote data of the workflow."""
    span.set_status(Status(StatusCode.ERROR, error))
    span.set_attribute("error.type", error)
