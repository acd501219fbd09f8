"""What an executor tells of its work."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import NamedTuple

from unspool.eventstore.records import Delivery, TaskRequest


class TaskEnd(StrEnum):
    """How a delivery of a task ended."""

    COMPLETED = "completed"
    FAULTED = "faulted"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    HANDED_BACK = "handed_back"
    """The executor could not run it, and another one may."""
    DEAD_LETTERED = "dead_lettered"
    LOST = "lost"
    """Another executor has it now, or this one stops or could not finish it."""


class Limit(StrEnum):
    """What a call waits for."""

    RATE = "rate"
    """A rate of `UNSPOOL_LIMITS`."""
    CONCURRENCY = "concurrency"
    """Other calls to the same target (`UNSPOOL_EXECUTOR_TARGET_CONCURRENCY`)."""
    CIRCUIT = "circuit"
    """The host did not answer lately (`UNSPOOL_CIRCUIT_FAILURES`)."""


class ExecutorFigures(NamedTuple):
    """The present figures of an executor."""

    tasks: int
    """Tasks that it holds."""
    parked: int
    """Of these, the ones that wait without a slot."""
    slots: int
    """Tasks that it runs at most."""


class LimitMetrics:
    """Gets what the limits of calls do, and ignores it: metrics are off."""

    def waited(self, limit: Limit) -> None:
        """A call has to wait."""

    def refused(self) -> None:
        """A call was not made, because its host does not answer."""

    def observe_circuits(self, opened: Callable[[], int]) -> None:
        """Takes a function that returns how many hosts do not answer now."""


class ExecutorMetrics(LimitMetrics):
    """Gets what an executor tells of its work, and ignores it: metrics are off."""

    def received(self, deliveries: Sequence[Delivery[TaskRequest]], now: int) -> None:
        """Tasks came from the queues, at a time of the store's clock in milliseconds."""

    def reclaimed(self, deliveries: Sequence[Delivery[TaskRequest]]) -> None:
        """Tasks of executors that are gone, or whose leases ended, were taken over."""

    def ended(self, delivery: Delivery[TaskRequest], end: TaskEnd, seconds: float) -> None:
        """A delivery of a task has ended, after this time in this executor."""

    def handler_failed(self, kind: str) -> None:
        """A handler has raised an exception: a bug, or a failure of the machine."""

    def observe(self, figures: Callable[[], ExecutorFigures]) -> None:
        """Takes a function that returns the present figures."""
