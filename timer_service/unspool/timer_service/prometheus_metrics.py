"""The metrics of a timer service for Prometheus."""

from typing import Final

from unspool.eventstore.monitoring.metric_set import MetricSet
from unspool.eventstore.records import Fired
from unspool.timer_service.metrics import TimerMetrics

_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0)


class PrometheusTimerMetrics(TimerMetrics):
    """Records the work of a timer service in a set of metrics."""

    def __init__(self, metrics: MetricSet) -> None:
        self._fired = metrics.counter("unspool_timer_fired_total", "Timers that the service has fired.")
        self._late = metrics.histogram(
            "unspool_timer_late_seconds",
            "How late the latest timer of each fired batch was.",
            buckets=_BUCKETS,
        )

    def fired(self, fired: Fired) -> None:
        """See `TimerMetrics`."""
        if fired.count:
            self._fired.inc(fired.count)
            self._late.observe(fired.late / 1000)
