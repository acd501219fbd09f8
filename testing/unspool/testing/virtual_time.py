"""What is due, in the order of virtual time."""

import heapq
from itertools import count
from typing import NamedTuple

from unspool.eventstore.published_events import CloudEvent
from unspool.eventstore.records import Message


class Due(NamedTuple):
    """A message to an execution, or an event for all that listen."""

    at: int
    """Milliseconds since 1970."""
    order: int
    """Tells what is due at the same time apart: the first comes first."""
    what: Message | CloudEvent


class VirtualTime:
    """A clock that jumps to the next thing that is due."""

    def __init__(self, now: int) -> None:
        """Takes the first time, in milliseconds since 1970."""
        self.now = now
        self._queue: list[Due] = []
        self._order = count()

    def add(self, what: Message | CloudEvent, at: int | None = None) -> None:
        """Adds what is due at a time, by default now."""
        heapq.heappush(self._queue, Due(self.now if at is None else at, next(self._order), what))

    def first(self) -> Due | None:
        """Returns what is due first; None if nothing is."""
        return self._queue[0] if self._queue else None

    def drop(self) -> None:
        """Removes what is due first; no time passes."""
        heapq.heappop(self._queue)

    def take(self) -> Message | CloudEvent:
        """Removes what is due first and returns it; the clock jumps to its time."""
        due = heapq.heappop(self._queue)
        self.now = max(self.now, due.at)
        return due.what
