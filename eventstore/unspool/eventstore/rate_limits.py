"""Rates that all executors keep together. A part of the port."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Rate:
    """How often something may start."""

    interval: int
    """Microseconds between two starts."""
    burst: int = 1
    """Starts that may follow each other at once after a pause."""


class RateLimits(Protocol):
    """The times of the next starts, by the name of a limit.

    The rule is the generic cell rate algorithm (ITU-T I.371): one number for each limit.
    """

    async def reserve_start(self, limit: str, rate: Rate, most: int) -> int | None:
        """Reserves the next start and returns the microseconds until it, by the clock of the store.

        None if the next start is more than `most` microseconds away. Then nothing is reserved.
        """
