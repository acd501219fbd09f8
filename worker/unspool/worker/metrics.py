"""What a worker tells of its work."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from unspool.eventstore.events import Event
from unspool.eventstore.records import Delivery, ExecutionKey, Message, WorkflowRef
from unspool.eventstore.results import Outcome
from unspool.worker.answering import APPLIED
from unspool.worker.cache_use import CacheUse
from unspool.worker.steps import Step


class WorkerFigures(NamedTuple):
    """The present figures of a worker."""

    messages: int
    """Messages that it holds."""
    capacity: int
    """Messages that it holds at most."""
    expressions: int
    """Decisions with expressions in real jq that run."""
    expression_threads: int
    longest_wait: float
    """Seconds that the first decision has waited for a thread."""
    caches: dict[str, CacheUse]


class WorkerMetrics:
    """Gets what a worker tells of its work, and ignores it: metrics are off."""

    def received(self, deliveries: Sequence[Delivery[Message]], now: int) -> None:
        """Messages came from the inbox, at a time of the store's clock in milliseconds."""

    def reclaimed(self, deliveries: Sequence[Delivery[Message]]) -> None:
        """Messages of workers that are gone, or whose leases ended, were taken over."""

    def decided(self, seconds: float) -> None:
        """Decisions took this long: those for a batch of executions, or for one execution."""

    def committed(self, steps: Sequence[Step], outcomes: Sequence[Outcome], seconds: float) -> None:
        """One call to the store has committed steps."""

    def committed_schedule(self, events: Sequence[Event], outcome: Outcome, seconds: float) -> None:
        """A step of a schedule was committed."""

    def dead_lettered(self) -> None:
        """A message was moved to the dead letter queue."""

    def observe(self, figures: Callable[[], WorkerFigures]) -> None:
        """Takes a function that returns the present figures."""


class WithEnds(WorkerMetrics):
    """Metrics, and a receiver of the executions that a commit has ended."""

    def __init__(self, metrics: WorkerMetrics, ended: Callable[[ExecutionKey, WorkflowRef], None]) -> None:
        """Takes where all figures go, and what is told of each end."""
        self._metrics = metrics
        self._ended = ended

    def received(self, deliveries: Sequence[Delivery[Message]], now: int) -> None:
        """See `WorkerMetrics`."""
        self._metrics.received(deliveries, now)

    def reclaimed(self, deliveries: Sequence[Delivery[Message]]) -> None:
        """See `WorkerMetrics`."""
        self._metrics.reclaimed(deliveries)

    def decided(self, seconds: float) -> None:
        """See `WorkerMetrics`."""
        self._metrics.decided(seconds)

    def committed(self, steps: Sequence[Step], outcomes: Sequence[Outcome], seconds: float) -> None:
        """See `WorkerMetrics`."""
        self._metrics.committed(steps, outcomes, seconds)
        for step, outcome in zip(steps, outcomes, strict=True):
            index = step.commit.index
            if outcome in APPLIED and index is not None and index.status.ended:
                self._ended(step.commit.key, step.after.workflow)

    def committed_schedule(self, events: Sequence[Event], outcome: Outcome, seconds: float) -> None:
        """See `WorkerMetrics`."""
        self._metrics.committed_schedule(events, outcome, seconds)

    def dead_lettered(self) -> None:
        """See `WorkerMetrics`."""
        self._metrics.dead_lettered()

    def observe(self, figures: Callable[[], WorkerFigures]) -> None:
        """See `WorkerMetrics`."""
        self._metrics.observe(figures)
