"""The states of tasks in an execution, as a diagram shows them."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class TaskStatus(StrEnum):
    """What a task does, or how its last run ended."""

    PENDING = "pending"
    """It has not started."""
    RUNNING = "running"
    WAITING = "waiting"
    """For time, events, messages or a sub-workflow."""
    RETRYING = "retrying"
    """A `try` whose first attempt failed."""
    COMPLETED = "completed"
    FAULTED = "faulted"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    """Its `if` does not hold, or the execution ended without it."""


@dataclass(frozen=True, slots=True)
class TaskState:
    """The state of a task after an event of the history."""

    status: TaskStatus
    runs: int = 0
    """How often it has begun: loops and retries run it more than once."""
    attempts: int = 0
    """The attempts of its newest run."""

    @property
    def reached(self) -> bool:
        """Whether there is something to show: it has begun, or will not."""
        return self.runs > 0 or self.status is not TaskStatus.PENDING

    def __str__(self) -> str:
        return ", ".join(self._parts())

    def _parts(self) -> Iterator[str]:
        yield str(self.status)
        if self.runs > 1:
            yield f"{self.runs} runs"
        if self.attempts > 1:
            yield f"{self.attempts} attempts"
