"""Trace context (https://www.w3.org/TR/trace-context/): that of the task that runs, and that of callers."""

import re
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Final

TRACEPARENT: Final = "traceparent"
"""Name of the header, and of the attribute of events (CloudEvents, "Distributed Tracing")."""

TRACESTATE: Final = "tracestate"
"""The same for what systems of traces add; only beside `TRACEPARENT`."""

_LONGEST_STATE: Final = 512
"""Characters of a `tracestate` that is passed on; the recommendation asks for as many (section 3.3.1.5)."""

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


def caller_context(header: Callable[[str], object]) -> dict[str, str]:
    """The trace context that what a request causes has: that of the span of the request, else its caller's.

    Args:
        header: returns the value of a header of the request, whose name is in lower case.
    """
    return dict(trace_context.get()) or checked_context(header(TRACEPARENT), header(TRACESTATE))


def checked_context(traceparent: object, tracestate: object) -> dict[str, str]:
    """What a caller sent, by the names of its headers; empty if `traceparent` is absent or malformed."""
    parent = checked_traceparent(traceparent)
    if parent is None:
        return {}
    state = _checked_tracestate(tracestate)
    return {TRACEPARENT: parent, TRACESTATE: state} if state else {TRACEPARENT: parent}


def _checked_tracestate(text: object) -> str | None:
    """A `tracestate`, unless it is absent, too long, or not of printable ASCII. Nothing reads its parts."""
    if not isinstance(text, str) or not text.isascii() or not text.isprintable():
        return None
    return text.strip() if 0 < len(text.strip()) <= _LONGEST_STATE else None
