"""The metrics of timers and retention for Prometheus."""

from typing import Final

from unspool.eventstore.monitoring.metric_set import MetricSet
from unspool.eventstore.results import Fired
from unspool.timer_service.metrics import RetentionMetrics, TimerMetrics

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


class PrometheusRetentionMetrics(RetentionMetrics):
    """Records the work of a retention service in a set of metrics."""

    def __init__(self, metrics: MetricSet) -> None:
        self._deleted = metrics.counter(
            "unspool_retention_deleted_total", "Executions that were deleted after their time."
        )
        self._archived = metrics.counter(
            "unspool_retention_archived_total", "Histories that were written to the archive."
        )
        self._not_archived = metrics.counter(
            "unspool_retention_damaged_total",
            "How often a damaged history could not be archived, so that its execution is kept.",
        )
        self._discarded = metrics.counter(
            "unspool_retention_dead_letters_total", "Dead letters that were discarded after their time."
        )
        self._texts = metrics.counter(
            "unspool_retention_texts_total",
            "Texts of external resources that were deleted, because no stored execution can use them.",
        )
        self._events = metrics.counter(
            "unspool_retention_events_total", "Published events that were written to the archive."
        )
        self._failing = metrics.gauge(
            "unspool_retention_failing",
            "1 if nothing is deleted now, for example because the archive cannot be written, else 0.",
        )
        self._behind = metrics.gauge(
            "unspool_retention_behind_seconds",
            "For how long the execution that should be deleted next has been due, after the last turn.",
        )

    def deleted(self, executions: int) -> None:
        """See `RetentionMetrics`."""
        self._deleted.inc(executions)

    def archived(self, executions: int) -> None:
        """See `RetentionMetrics`."""
        self._archived.inc(executions)

    def not_archived(self) -> None:
        """See `RetentionMetrics`."""
        self._not_archived.inc()

    def discarded(self, dead_letters: int) -> None:
        """See `RetentionMetrics`."""
        self._discarded.inc(dead_letters)

    def events_archived(self, events: int) -> None:
        """See `RetentionMetrics`."""
        self._events.inc(events)

    def texts_deleted(self, texts: int) -> None:
        """See `RetentionMetrics`."""
        self._texts.inc(texts)

    def turned(self, *, fails: bool, behind: float) -> None:
        """See `RetentionMetrics`."""
        self._failing.set(fails)
        self._behind.set(behind)
