"""The metrics of an executor for Prometheus."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final

from unspool.eventstore.monitoring.metric_set import (
    LONG_SECONDS,
    OTHER,
    BoundedNames,
    ComputedSample,
    DescribedMetric,
    MetricSet,
    oldest_of,
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
_TENANT_TASKS: Final = DescribedMetric(
    "unspool_tenant_tasks_total",
    "counter",
    ("tenant", "outcome"),
    "Deliveries of tasks of a tenant that have ended, by outcome.",
)
_CIRCUITS: Final = DescribedMetric(
    "unspool_executor_circuits_open", "gauge", (), "Hosts that do not answer, so that calls to them wait."
)


class PrometheusExecutorMetrics(ExecutorMetrics):
    """Records the work of an executor in a set of metrics."""

    def __init__(self, metrics: MetricSet, kinds: Collection[str], tenants: int) -> None:
        """Takes the kinds of tasks that labels tell apart, and the number of tenants."""
        self._metrics = metrics
        self._kinds = frozenset(kinds)
        self._tenants = BoundedNames(tenants)
        self._ends: dict[tuple[str, str, TaskEnd], int] = {}
        """By tenant, kind and end, as labels name them."""
        metrics.computed((_TASKS, _TENANT_TASKS), self._tasks)
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
        self._failures = metrics.counters(
            "unspool_executor_handler_failures_total", "Exceptions of handlers, by kind of the task.", "kind"
        )
        waits = metrics.counters(
            "unspool_executor_limit_waits_total", "Calls that had to wait, by what they waited for.", "limit"
        )
        self._waits = {limit: waits.labels(limit.value) for limit in Limit}
        self._refused = metrics.counter(
            "unspool_executor_calls_refused_total",
            "Calls that were not made, because the host does not answer.",
        )

    def received(self, deliveries: Sequence[Delivery[TaskRequest]], now: int) -> None:
        """See `ExecutorMetrics`."""
        oldest, again = oldest_of(deliveries)
        if oldest:
            self._wait.observe(max(0, now - oldest) / 1000)
        if again:
            self._redelivered.inc(again)

    def reclaimed(self, deliveries: Sequence[Delivery[TaskRequest]]) -> None:
        """See `ExecutorMetrics`."""
        self._reclaimed.inc(len(deliveries))

    def ended(self, delivery: Delivery[TaskRequest], end: TaskEnd, seconds: float) -> None:
        """See `ExecutorMetrics`."""
        label = self._label(delivery.body.kind)
        ending = (self._tenants.of(delivery.tenant), label, end)
        self._ends[ending] = self._ends.get(ending, 0) + 1
        if end is TaskEnd.COMPLETED or end is TaskEnd.FAULTED:
            self._seconds.labels(label).observe(seconds)

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
        kinds: Counter[tuple[str, TaskEnd]] = Counter()
        tenants: Counter[tuple[str, TaskEnd]] = Counter()
        for (tenant, kind, end), count in list(self._ends.items()):
            kinds[kind, end] += count
            tenants[tenant, end] += count
        for described, counts in ((_TASKS, kinds), (_TENANT_TASKS, tenants)):
            for (label, end), count in counts.items():
                yield ComputedSample(described.name, (label, end.value), count)

    def _label(self, kind: str) -> str:
        return kind if kind in self._kinds else OTHER
