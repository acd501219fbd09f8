"""The metrics of a worker for Prometheus. Everything is recorded once for a batch, where that is possible."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from unspool.eventstore.events import Event
from unspool.eventstore.monitoring.metric_set import (
    LONG_SECONDS,
    SHORT_SECONDS,
    BoundedNames,
    ComputedSample,
    DescribedMetric,
    MetricSet,
    oldest_of,
)
from unspool.eventstore.monitoring.settings import MonitoringSettings
from unspool.eventstore.records import Commit, Delivery, Message, MessageKind, WorkflowRef
from unspool.eventstore.results import Outcome
from unspool.worker.answering import APPLIED
from unspool.worker.metrics import WorkerFigures, WorkerMetrics
from unspool.worker.steps import Step

_GAUGES: Final = (
    DescribedMetric("unspool_worker_messages_held", "gauge", (), "Messages that the worker holds."),
    DescribedMetric("unspool_worker_messages_capacity", "gauge", (), "Messages that it holds at most."),
    DescribedMetric(
        "unspool_worker_jq_processes_in_use", "gauge", (), "Decisions with real jq that run; each uses one."
    ),
    DescribedMetric("unspool_worker_jq_processes", "gauge", (), "Processes for real jq, at most."),
    DescribedMetric(
        "unspool_worker_jq_wait_seconds", "gauge", (), "How long the first decision waits for one of them."
    ),
)
_CACHES: Final = DescribedMetric(
    "unspool_worker_cache_requests_total",
    "counter",
    ("cache", "result"),
    "Requests to the caches of states, definitions, plans with fetched texts, and texts.",
)


class PrometheusWorkerMetrics(WorkerMetrics):
    """Records the work of a worker in a set of metrics."""

    def __init__(self, metrics: MetricSet, settings: MonitoringSettings) -> None:
        """Takes how many workflows and tenants labels tell apart."""
        self._metrics = metrics
        self._names = BoundedNames(settings.workflows)
        self._tenants = BoundedNames(settings.tenants)
        self._wait = metrics.histogram(
            "unspool_worker_message_wait_seconds",
            "How long the oldest message of each received batch has waited in the inbox.",
            buckets=LONG_SECONDS,
        )
        self._received = metrics.counter(
            "unspool_worker_messages_total", "Messages that the worker has received."
        )
        self._redelivered = metrics.counter(
            "unspool_worker_redeliveries_total", "Received messages that were delivered before."
        )
        self._reclaimed = metrics.counter(
            "unspool_worker_reclaims_total", "Messages of workers that are gone, or whose leases ended."
        )
        self._decision = metrics.histogram(
            "unspool_worker_decision_seconds",
            "How long decisions took: those for one batch of executions, or for one execution.",
            buckets=SHORT_SECONDS,
        )
        self._commit = metrics.histogram(
            "unspool_worker_commit_seconds",
            "How long a call that commits took, with one step or a batch.",
            buckets=SHORT_SECONDS,
        )
        commits = metrics.counters("unspool_worker_commits_total", "Commits by their outcome.", "outcome")
        self._commits = {outcome: commits.labels(outcome.value) for outcome in Outcome}
        self._events = metrics.counter(
            "unspool_worker_events_total", "Events that were added to histories of executions."
        )
        self._started = metrics.counters(
            "unspool_executions_started_total", "Executions with a first decision.", "workflow"
        )
        self._ended = metrics.counters(
            "unspool_executions_ended_total", "Executions that have ended.", "workflow", "status"
        )
        self._started_of_tenant = metrics.counters(
            "unspool_tenant_executions_started_total",
            "Executions of a tenant with a first decision.",
            "tenant",
        )
        self._ended_of_tenant = metrics.counters(
            "unspool_tenant_executions_ended_total",
            "Executions of a tenant that have ended.",
            "tenant",
            "status",
        )
        self._first_decision = metrics.histogram(
            "unspool_worker_first_decision_seconds",
            "From the start of an execution to its first decision.",
            buckets=LONG_SECONDS,
        )
        self._dead_letters = metrics.counter(
            "unspool_worker_dead_letters_total", "Messages that were moved to the dead letter queue."
        )
        self._missed = metrics.counter(
            "unspool_schedules_missed_total",
            "How often a schedule was so late that it left occurrences out.",
        )
        self._failed_starts = metrics.counter(
            "unspool_schedules_failed_total", "Executions that a schedule could not start."
        )

    def received(self, deliveries: Sequence[Delivery[Message]], now: int) -> None:
        """See `WorkerMetrics`."""
        self._received.inc(len(deliveries))
        oldest, again = oldest_of(deliveries)
        if oldest:
            self._wait.observe(max(0, now - oldest) / 1000)
        if again:
            self._redelivered.inc(again)

    def reclaimed(self, deliveries: Sequence[Delivery[Message]]) -> None:
        """See `WorkerMetrics`."""
        self._reclaimed.inc(len(deliveries))

    def decided(self, seconds: float) -> None:
        """See `WorkerMetrics`."""
        self._decision.observe(seconds)

    def committed(self, steps: Sequence[Step], outcomes: Sequence[Outcome], seconds: float) -> None:
        """See `WorkerMetrics`."""
        self._commit.observe(seconds)
        events = 0
        for (commit, after, _), outcome in zip(steps, outcomes, strict=True):
            self._commits[outcome].value += 1
            if outcome in APPLIED:
                events += len(commit.events)
                if commit.index is not None:
                    self._changed(commit, after.workflow)
        self._events.inc(events)

    def committed_schedule(self, events: Sequence[Event], outcome: Outcome, seconds: float) -> None:
        """See `WorkerMetrics`."""
        self._commit.observe(seconds)
        self._commits[outcome].inc()
        if outcome in APPLIED:
            types = Counter(event.type for event in events)
            self._missed.inc(types["occurrences.missed"])
            self._failed_starts.inc(types["occurrence.failed"])

    def dead_lettered(self) -> None:
        """See `WorkerMetrics`."""
        self._dead_letters.inc()

    def observe(self, figures: Callable[[], WorkerFigures]) -> None:
        """See `WorkerMetrics`."""
        self._metrics.computed((*_GAUGES, _CACHES), lambda: _samples(figures()))

    def _changed(self, commit: Commit, workflow: WorkflowRef) -> None:
        """Counts the start and the end of an execution."""
        name = self._names.of(f"{workflow.namespace}/{workflow.name}")
        tenant = self._tenants.of(commit.key.tenant)
        if commit.expected_version == 0:
            self._started.labels(name).inc()
            self._started_of_tenant.labels(tenant).inc()
            first = commit.acknowledges[0] if commit.acknowledges else None
            if first is not None and first.body.kind is MessageKind.START and first.queued_at:
                self._first_decision.observe(max(0, commit.events[0].time - first.queued_at) / 1000)
        if commit.index is not None and commit.index.status.ended:
            self._ended.labels(name, commit.index.status.value).inc()
            self._ended_of_tenant.labels(tenant, commit.index.status.value).inc()


def _samples(figures: WorkerFigures) -> Iterator[ComputedSample]:
    values = (
        figures.messages,
        figures.capacity,
        figures.expressions,
        figures.expression_threads,
        figures.longest_wait,
    )
    for described, value in zip(_GAUGES, values, strict=True):
        yield ComputedSample(described.name, (), value)
    for cache, use in figures.caches.items():
        yield ComputedSample(_CACHES.name, (cache, "hit"), use.hits)
        yield ComputedSample(_CACHES.name, (cache, "miss"), use.misses)
