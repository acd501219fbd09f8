"""The results of operations of the store."""

from dataclasses import dataclass, field
from enum import StrEnum


class Stored(StrEnum):
    """The result of storing a definition."""

    CREATED = "created"
    SAME = "same"
    DIFFERENT = "different"
    """That version exists with another text; nothing was changed."""


class Outcome(StrEnum):
    """The result of a commit. Of several competing commits exactly one is `committed`."""

    COMMITTED = "committed"
    CONFLICT = "conflict"
    """The history has another version; nothing was changed or acknowledged."""
    DUPLICATE = "duplicate"
    """This commit was applied before and its reply was lost; nothing was applied again."""
    MISSING = "missing"
    """There is no such execution."""
    ANSWERED = "answered"
    """An `event` message that it acknowledges was acknowledged before; nothing was changed or acknowledged.

    So an event is consumed once, although nothing in the history tells a second delivery from the first.
    """
    EARLY = "early"
    """The inbox has an earlier `event` message for the execution; nothing was changed or acknowledged.

    It is earlier in the order of the bus, and not acknowledged by this commit. So events are consumed in that
    order, although several consumers may hold some of them.
    """


class Renewal(StrEnum):
    """The result of renewing a lease."""

    HELD = "held"
    CANCELLED = "cancelled"
    """Held, but the workflow no longer needs the result."""
    LOST = "lost"
    """Another consumer holds it, or it is finished."""


@dataclass(frozen=True, slots=True)
class Fired:
    """The result of firing due timers."""

    count: int
    next_due_at: int | None
    """When the earliest remaining timer is due, milliseconds since 1970."""
    late: int = field(default=0, compare=False)
    """By how many milliseconds the latest of the fired timers was late."""
