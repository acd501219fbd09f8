"""The sinks of published events, as health checks and metrics show them."""

from collections.abc import Iterator, Sequence
from typing import Final

from unspool.definitions.json_value import Json
from unspool.eventstore.clock import rfc3339
from unspool.eventstore.sinks import SinkStatus

_UNSERVED_MILLISECONDS: Final = 180_000
"""Senders keep their sinks every minute. After this time without one, no process sends to the sink."""

_MEASURES: Final = (
    ("lag", "gauge", "Events that were not sent to the sink yet."),
    ("sent_total", "counter", "Events that were sent to the sink."),
    ("refused_total", "counter", "Events that the sink refused and that were left out."),
    (
        "dropped_total",
        "counter",
        "Events that were deleted before the sink got them.",
    ),
    ("failures_total", "counter", "Attempts to send events that failed."),
    ("failing", "gauge", "1 if events of a tenant cannot be sent now, else 0."),
)


def sink_json(sink: SinkStatus, now: int) -> dict[str, Json]:
    """A sink in the answer of a health check; `now` is in milliseconds since 1970."""
    if sink.failing_since is not None:
        since = rfc3339(sink.failing_since)
        return {"status": "failing", "lag": sink.lag, "since": since, "error": sink.failure}
    unserved = now - sink.kept_at > _UNSERVED_MILLISECONDS
    return {"status": "unserved" if unserved else "works", "lag": sink.lag}


def sink_exposition(sinks: Sequence[SinkStatus]) -> str:
    """Returns the figures of sinks in the Prometheus text format. They are those of the whole store."""
    return "".join(f"{line}\n" for line in _lines(sinks))


def _lines(sinks: Sequence[SinkStatus]) -> Iterator[str]:
    if not sinks:
        return
    for name, kind, text in _MEASURES:
        yield f"# HELP unspool_event_sink_{name} {text}"
        yield f"# TYPE unspool_event_sink_{name} {kind}"
        for sink in sinks:
            yield f'unspool_event_sink_{name}{{sink="{sink.name}"}} {_value(sink, name)}'


def _value(sink: SinkStatus, name: str) -> int:
    if name == "failing":
        return int(sink.failing_since is not None)
    value: int = getattr(sink, name.removesuffix("_total"))
    return value
