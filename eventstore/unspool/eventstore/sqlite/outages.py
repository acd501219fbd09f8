"""Write outages: the times in which this process could not write to the file.

While another process holds the write lock, or the disk is full, no consumer can write its heartbeat or renew
a lease. So a missing heartbeat during an outage does not mean that a consumer is gone.
"""

import math
from collections.abc import Callable
from typing import Final, NamedTuple

from unspool.eventstore.port import HEARTBEAT_SECONDS

_SHORTEST_SECONDS: Final = 0.5
"""Shorter waits are the normal ones for locks and for the disk."""

_LONGEST_UNNOTICED_SECONDS: Final = 1.2 * HEARTBEAT_SECONDS
"""A consumer writes at least this often, with the jitter of `run_periodically`."""

_MOST: Final = 256
"""How many outages are kept. If there are more, the oldest are dropped."""


class _Outage(NamedTuple):
    began_at: float
    ended_at: float


class WriteOutages:
    """The outages that the writing thread observed. Any thread may call `allowance`."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._began_at: float | None = None
        self._written_at: float | None = None
        self._outages: tuple[_Outage, ...] = ()

    def attempt(self) -> None:
        """Records the begin of a write. If the last write failed, the outage began with that one."""
        if self._began_at is None:
            self._began_at = self._monotonic()

    def success(self) -> None:
        """Records that the write succeeded. This ends an outage, if there was one."""
        began_at, now = self._began_at, self._monotonic()
        if began_at is not None and now - began_at >= _SHORTEST_SECONDS:
            self._outages = (*self._outages[1 - _MOST :], _Outage(self._earliest(began_at), now))
        self._began_at, self._written_at = None, now

    def _earliest(self, noticed_at: float) -> float:
        """The earliest time at which an outage may have begun; unknown if the process started during it."""
        if self._written_at is None:
            return -math.inf
        return max(self._written_at, noticed_at - _LONGEST_UNNOTICED_SECONDS)

    def allowance(self, seconds: float) -> float:
        """The seconds of outage to add to a limit of `seconds`, so that outages do not count."""
        began_at, now = self._began_at, self._monotonic()
        since = now - seconds
        if began_at is not None:
            since -= now - began_at
        for outage in reversed(self._outages):
            if outage.ended_at <= since:
                break
            since -= outage.ended_at - outage.began_at
        return now - seconds - since
