"""The metrics of an executor for Prometheus."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final

from unspool.eventstore.monitoring.histogram import Histogram
from unspool.eventstore.monitoring.metric_set import (
    LONG_SECONDS,
    OTHER,
    ComputedSample,
    DescribedMetric,
    MetricSet,
)
from unspool.eventstore.records import Delivery, TaskRequest
from unspool.executor.metrics import ExecutorFigures, ExecutorMetrics, Limit, TaskEnd

_FIGURES: Final = (
    DescribedMetric("unspool_executor_tasks_held", "gauge", (), "Tasks that the executor holds."),
    DescribedMetric("unspool_executor_tasks_parked", "gauge", (), "Held tasks that wait, without a slot."),
    DescribedMetric("unspool_executor_slots", "gauge", (), "Tasks that the executor runs at once, at most."),
)
_TASKS: Final = DescribedMetric(
    "unspool_tasks_total",
    "counter",
    ("kind", "outcome"),
    "Deliveries of tasks that have ended, by kind and outcome.",
)
_CIRCUITS: Final = DescribedMetric(
    "unspool_executor_circuits_open", "gauge", (), "Hosts that do not answer, so that calls to them wait."
)


class PrometheusExecutorMetrics(ExecutorMetrics):
    """Records the work of an executor in a set of metrics."""

    def __init__(self, metrics: MetricSet, kinds: Collection[str]) -> None:
        """Takes the kinds of tasks that labels tell apart."""
        self._metrics = metrics
        self._kinds = frozenset(kinds)
        self._ends: Counter[tuple[str, TaskEnd]] = Counter()
        metrics.computed((_TASKS,), self._tasks)
        self._seconds = metrics.histograms(
            "unspool_task_seconds",
            "How long tasks that completed or faulted took, from their receipt to their stored result.",
            "kind",
            buckets=LONG_SECONDS,
        )
        self._wait = metrics.histogram(
            "unspool_executor_task_wait_seconds",
            "How long the oldest task of each received batch has waited in its queue.",
            buckets=LONG_SECONDS,
        )
        self._redelivered = metrics.counter(
            "unspool_executor_redeliveries_total", "Received tasks that were delivered before."
        )
        self._reclaimed = metrics.counter(
            "unspool_executor_reclaims_total", "Tasks of executors that are gone, or whose leases ended."
        )
        self._failures = metrics.counter(
            "unspool_executor_handler_failures_total", "Exceptions of handlers, by kind of the task.", "kind"
        )
        waits = metrics.counter(
            "unspool_executor_limit_waits_total", "Calls that had to wait, by what they waited for.", "limit"
        )
        self._waits = {limit: waits.labels(limit.value) for limit in Limit}
        self._refused = metrics.counter(
            "unspool_executor_calls_refused_total",
            "Calls that were not made, because the host does not answer.",
        )
        self._durations: dict[str, Histogram] = {}
        """By kind: looking a series up takes as long as recording."""

    def received(self, deliveries: Sequence[Delivery[TaskRequest]], now: int) -> None:
        """See `ExecutorMetrics`."""
        oldest = min(delivery.queued_at for delivery in deliveries)
        if oldest:
            self._wait.observe(max(0, now - oldest) / 1000)
        if again := sum(delivery.attempts > 1 for delivery in deliveries):
            self._redelivered.inc(again)

    def reclaimed(self, deliveries: Sequence[Delivery[TaskRequest]]) -> None:
        """See `ExecutorMetrics`."""
        self._reclaimed.inc(len(deliveries))

    def ended(self, kind: str, end: TaskEnd, seconds: float) -> None:
        """See `ExecutorMetrics`."""
        self._ends[kind, end] += 1
        if end is TaskEnd.COMPLETED or end is TaskEnd.FAULTED:
            duration = self._durations.get(kind)
            if duration is None:
                duration = self._durations[kind] = self._seconds.labels(self._label(kind))
            duration.observe(seconds)

    def handler_failed(self, kind: str) -> None:
        """See `ExecutorMetrics`."""
        self._failures.labels(self._label(kind)).inc()

    def observe(self, figures: Callable[[], ExecutorFigures]) -> None:
        """See `ExecutorMetrics`."""
        self._metrics.computed(
            _FIGURES,
            lambda: [
                ComputedSample(each.name, (), value) for each, value in zip(_FIGURES, figures(), strict=True)
            ],
        )

    def waited(self, limit: Limit) -> None:
        """See `LimitMetrics`."""
        self._waits[limit].inc()

    def refused(self) -> None:
        """See `LimitMetrics`."""
        self._refused.inc()

    def observe_circuits(self, opened: Callable[[], int]) -> None:
        """See `LimitMetrics`."""
        self._metrics.computed((_CIRCUITS,), lambda: [ComputedSample(_CIRCUITS.name, (), opened())])

    def _tasks(self) -> Iterator[ComputedSample]:
        counts: Counter[tuple[str, TaskEnd]] = Counter()
        for (kind, end), count in list(self._ends.items()):
            counts[self._label(kind), end] += count
        for (kind, end), count in counts.items():
            yield ComputedSample(_TASKS.name, (kind, end.value), count)

    def _label(self, kind: str) -> str:
        return kind if kind in self._kinds else OTHER
