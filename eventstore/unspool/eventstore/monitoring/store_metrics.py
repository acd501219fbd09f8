"""The metrics of a store. They are the same from each process that has them."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from unspool.eventstore.monitoring.metric_set import ComputedSample, DescribedMetric, MetricSet
from unspool.eventstore.monitoring.store_status import StoreStatus
from unspool.eventstore.operations import Waiting

INBOX: Final = "inbox"
"""The label of the inbox; a task queue is `tasks:<name>`, and dead letters are `dead_letters`."""

_QUEUE: Final = ("queue",)
_UP: Final = DescribedMetric("unspool_store_up", "gauge", (), "1 if the store answers, else 0.")
_ROUND_TRIP: Final = DescribedMetric(
    "unspool_store_round_trip_seconds", "gauge", (), "How long the store took to tell its time."
)
_WAITING: Final = DescribedMetric(
    "unspool_queue_waiting", "gauge", _QUEUE, "Entries of a queue that no service holds."
)
_HELD: Final = DescribedMetric(
    "unspool_queue_held", "gauge", _QUEUE, "Entries of a queue that a service holds."
)
_OLDEST: Final = DescribedMetric(
    "unspool_queue_oldest_seconds",
    "gauge",
    _QUEUE,
    "For how long the oldest entry that no service holds waits.",
)
_SERVING: Final = DescribedMetric(
    "unspool_queue_executors", "gauge", _QUEUE, "Live executors that take from a task queue."
)
_DEAD_LETTERS: Final = DescribedMetric(
    "unspool_dead_letters", "gauge", (), "Dead letters that were not requeued or discarded."
)
_TIMER_LATE: Final = DescribedMetric(
    "unspool_timer_overdue_seconds", "gauge", (), "By how much the earliest timer that is set is late."
)
_SERVICES: Final = DescribedMetric(
    "unspool_services", "gauge", ("service", "version"), "Services that are alive, by their version."
)

STORE_METRICS: Final = (
    _UP,
    _ROUND_TRIP,
    _WAITING,
    _HELD,
    _OLDEST,
    _SERVING,
    _DEAD_LETTERS,
    _TIMER_LATE,
    _SERVICES,
)


def add_store(metrics: MetricSet, status: Callable[[], StoreStatus]) -> None:
    """Adds the metrics of a store; `status` returns its last known status."""
    metrics.computed(STORE_METRICS, lambda: _samples(status()))


def _samples(status: StoreStatus) -> Iterator[ComputedSample]:
    """The values. Without an answer of the store there is only one: old values must not look like new."""
    yield ComputedSample(_UP.name, (), int(status.up))
    if not status.up:
        return
    backlog = status.backlog
    yield ComputedSample(_ROUND_TRIP.name, (), status.round_trip)
    yield ComputedSample(_DEAD_LETTERS.name, (), backlog.dead_letters.waiting)
    yield ComputedSample(_TIMER_LATE.name, (), status.timer_late)
    yield from _of_queue(status, INBOX, backlog.inbox)
    for queue, waiting in backlog.tasks.items():
        yield from _of_queue(status, f"tasks:{queue}", waiting)
        yield ComputedSample(_SERVING.name, (f"tasks:{queue}",), status.serving(queue))
    services = Counter(
        (each.service, each.process.version if each.process else "") for each in status.consumers
    )
    for labels, count in services.items():
        yield ComputedSample(_SERVICES.name, labels, count)


def _of_queue(status: StoreStatus, label: str, waiting: Waiting) -> Iterator[ComputedSample]:
    yield ComputedSample(_WAITING.name, (label,), waiting.waiting)
    yield ComputedSample(_HELD.name, (label,), waiting.held)
    yield ComputedSample(_OLDEST.name, (label,), status.age(waiting))
