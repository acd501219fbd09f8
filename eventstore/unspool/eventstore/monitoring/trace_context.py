"""The trace context of the task that runs, for the requests that it makes and for the log."""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Final

_NO_TRACE: Final[Mapping[str, str]] = {}

trace_context: Final[ContextVar[Mapping[str, str]]] = ContextVar("trace context", default=_NO_TRACE)
"""Headers that tell a service the trace of its caller (W3C Trace Context); empty without traces."""


def trace_ids() -> dict[str, str]:
    """The ids of the trace and the span of the task that runs, for a log record; empty without traces."""
    parent = trace_context.get().get("traceparent")
    if parent is None:
        return {}
    _, trace_id, span_id, _ = parent.split("-")
    return {"trace_id": trace_id, "span_id": span_id}
