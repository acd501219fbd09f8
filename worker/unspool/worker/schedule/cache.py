"""The states of schedules in memory."""

from collections import OrderedDict
from typing import Final

from unspool.eventstore.records import ExecutionKey
from unspool.worker.schedule.history import StoredSchedule

_MOST_HELD: Final = 64 * 1024 * 1024
"""Characters of the events that all states hold."""


class ScheduleCache:
    """A bounded cache. A cached state may be outdated; then a commit conflicts."""

    def __init__(self, most: int) -> None:
        """`most` is how many states it keeps."""
        self._most = most
        self._held = 0
        self._states: OrderedDict[ExecutionKey, StoredSchedule] = OrderedDict()

    def take(self, key: ExecutionKey) -> StoredSchedule | None:
        """Removes the state of a schedule and returns it; None if there is none."""
        found = self._states.pop(key, None)
        if found is not None:
            self._held -= found.state.sets.size
        return found

    def put(self, key: ExecutionKey, stored: StoredSchedule) -> None:
        """Keeps a state. Removes those that were used least recently if there are too many."""
        self.take(key)
        self._states[key] = stored
        self._held += stored.state.sets.size
        while len(self._states) > max(1, self._most) or (self._held > _MOST_HELD and len(self._states) > 1):
            self.take(next(iter(self._states)))
