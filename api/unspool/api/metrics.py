"""The metrics of the API."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from unspool.eventstore.monitoring.metric_set import (
    BoundedNames,
    ComputedSample,
    DescribedMetric,
    MetricSet,
)
from unspool.eventstore.sinks import SinkStatus
from unspool.eventstore.sources import SourceStatus


class RequestLabels(NamedTuple):
    """The labels of a request. Their number is bounded: a route is a template, not a path."""

    method: str
    route: str
    status: int


class HookLabels(NamedTuple):
    """The labels of a request to a webhook. Their number is bounded: only configured webhooks count."""

    name: str
    result: str
    """`accepted`, `unauthorized`, `no_secret`, `rejected` or `unavailable`."""


class ApiMetrics:
    """Counts the requests of this process."""

    def __init__(self, metrics: MetricSet, tenants: int) -> None:
        """Takes the number of tenants that labels tell apart."""
        self._tenants = BoundedNames(tenants)
        self.in_progress = 0
        """Requests that are answered now."""
        self._requests = metrics.counters(
            "unspool_api_requests_total", "Requests answered by this process.", *RequestLabels._fields
        )
        self._seconds = metrics.counters(
            "unspool_api_request_seconds_total", "Seconds spent on requests, with waits and streams.", "route"
        )
        self._of_tenant = metrics.counters(
            "unspool_tenant_api_requests_total",
            "Requests of a tenant; 429 are over the limit of a key.",
            "tenant",
            "status",
        )
        metrics.gauge(
            "unspool_api_requests_in_progress", "Requests in progress, including waits and streams."
        ).set_function(lambda: self.in_progress)
        self._hooks = metrics.counters(
            "unspool_hooks_total", "Requests to webhooks, by result.", *HookLabels._fields
        )

    def answered(self, labels: RequestLabels, tenant: str | None, seconds: float) -> None:
        """Counts a request that was answered after some seconds; `tenant` is None if it is not known."""
        self._requests.labels(*map(str, labels)).inc()
        if tenant is not None:
            self._of_tenant.labels(self._tenants.of(tenant), str(labels.status)).inc()
        self._seconds.labels(labels.route).inc(seconds)

    def hook_answered(self, labels: HookLabels) -> None:
        """Counts a request to a webhook."""
        self._hooks.labels(*labels).inc()


_SINK: Final = ("sink",)
_SINKS: Final = (
    DescribedMetric("unspool_event_sink_lag", "gauge", _SINK, "Events that were not sent to the sink yet."),
    DescribedMetric("unspool_event_sink_sent_total", "counter", _SINK, "Events that were sent to the sink."),
    DescribedMetric(
        "unspool_event_sink_refused_total",
        "counter",
        _SINK,
        "Events that the sink refused and that were left out.",
    ),
    DescribedMetric(
        "unspool_event_sink_dropped_total",
        "counter",
        _SINK,
        "Events that were deleted before the sink got them.",
    ),
    DescribedMetric(
        "unspool_event_sink_failures_total", "counter", _SINK, "Attempts to send events that failed."
    ),
    DescribedMetric(
        "unspool_event_sink_failing",
        "gauge",
        _SINK,
        "1 if events of a tenant cannot be sent now, else 0.",
    ),
)
_SOURCE: Final = ("source",)
_SOURCES: Final = (
    DescribedMetric(
        "unspool_event_source_published_total",
        "counter",
        _SOURCE,
        "Events from the source that were published.",
    ),
    DescribedMetric(
        "unspool_event_source_refused_total",
        "counter",
        _SOURCE,
        "Entries of the source that were not events and were left out.",
    ),
    DescribedMetric(
        "unspool_event_source_failing",
        "gauge",
        _SOURCE,
        "1 if the source cannot be read now, else 0.",
    ),
)


def add_transports(
    metrics: MetricSet, read: Callable[[], tuple[Sequence[SinkStatus], Sequence[SourceStatus]]]
) -> None:
    """Adds the figures of sinks and sources, which are those of the whole store."""
    metrics.computed((*_SINKS, *_SOURCES), lambda: _samples(*read()))


def _samples(sinks: Sequence[SinkStatus], sources: Sequence[SourceStatus]) -> Iterator[ComputedSample]:
    for sink in sinks:
        figures = (sink.lag, sink.sent, sink.refused, sink.dropped, sink.failures, _failing(sink))
        for described, value in zip(_SINKS, figures, strict=True):
            yield ComputedSample(described.name, (sink.name,), value)
    for source in sources:
        values = (source.published, source.refused, _failing(source))
        for described, value in zip(_SOURCES, values, strict=True):
            yield ComputedSample(described.name, (source.name,), value)


def _failing(status: SinkStatus | SourceStatus) -> int:
    return int(status.failing_since is not None)
