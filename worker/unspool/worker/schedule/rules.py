"""The rules that are the same for all schedules."""

from datetime import tzinfo
from enum import StrEnum
from typing import NamedTuple


class Missed(StrEnum):
    """What happens to occurrences that were due while nothing could start them."""

    ONCE = "once"
    """The newest of them starts."""
    ALL = "all"
    """All of them start, one after the other, but only the newest thousand."""
    SKIP = "skip"
    """None of them starts."""


class Rules(NamedTuple):
    """How schedules read times, and what happens to missed ones."""

    zone: tzinfo
    missed: Missed
