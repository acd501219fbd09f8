"""Records of the dead letter queue."""

from dataclasses import dataclass

from unspool.eventstore.records import Message, TaskRequest


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A delivery that failed too often."""

    id: str
    tenant: str
    body: Message | TaskRequest
    error: str
    """One line."""
    traceback: str
    attempts: int
    moved_at: int
    """Milliseconds since 1970."""


@dataclass(frozen=True, slots=True)
class DeadLetterPage:
    """One page of dead letters, oldest first."""

    items: tuple[DeadLetter, ...]
    cursor: str | None
    """Opaque; None on the last page."""
