"""What a worker tells of its work."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from unspool.eventstore.events import Event
from unspool.eventstore.records import Delivery, Message, Outcome
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
