"""The rules that are the same for all schedules."""

from datetime import tzinfo
from enum import StrEnum
from typing import NamedTuple

from unspool.definitions.event_reading import Read


class Missed(StrEnum):
    """What happens to occurrences that were due while nothing could start them."""

    ONCE = "once"
    """The newest of them starts."""
    ALL = "all"
    """All of them start, one after the other, but only the newest thousand."""
    SKIP = "skip"
    """None of them starts."""


class Rules(NamedTuple):
    """How schedules read times and events, and what happens to missed times."""

    zone: tzinfo
    missed: Missed
    read: Read = Read.DATA
    """How events are read that start a workflow, if its author does not say it (inventory C5)."""
