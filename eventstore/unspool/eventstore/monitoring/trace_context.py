"""Trace context (https://www.w3.org/TR/trace-context/): that of the task that runs, and that of callers."""

import re
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Final

TRACEPARENT: Final = "traceparent"
"""Name of the header, and of the attribute of events (CloudEvents, "Distributed Tracing")."""

_NO_TRACE: Final[Mapping[str, str]] = {}

_FORM: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})(?P<trace>[0-9a-f]{32})-(?!0{16})(?P<span>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})"
    r"(?:-[\x21-\x7e]{0,200})?",
    re.ASCII,
)

trace_context: Final[ContextVar[Mapping[str, str]]] = ContextVar("trace context", default=_NO_TRACE)
"""Headers that tell a service the trace of its caller (W3C Trace Context); empty without traces."""


def trace_ids() -> dict[str, str]:
    """The ids of the trace and the span of the task that runs, for a log record; empty without traces."""
    parent = trace_context.get().get(TRACEPARENT)
    if parent is None:
        return {}
    _, trace_id, span_id, _ = parent.split("-")
    return {"trace_id": trace_id, "span_id": span_id}


def checked_traceparent(text: object) -> str | None:
    """What another program sent as `traceparent`, as version 00; None if it is absent or malformed.

    A malformed one is ignored, as the recommendation says (section 3.2).
    """
    found = _FORM.fullmatch(text) if isinstance(text, str) else None
    return None if found is None else f"00-{found['trace']}-{found['span']}-{found['flags']}"
