"""The occurrences of `every`: a fixed rate, so that no delay adds up (inventory C1)."""

from bisect import bisect_right
from dataclasses import dataclass

from unspool.definitions.durations import Duration

_SHORTEST_MONTH: int = 28 * 86_400_000


@dataclass(frozen=True, slots=True)
class Interval:
    """Times at a fixed distance. The first one is one interval after `since`.

    All times are in milliseconds since 1970. Months are added by the calendar, always to `since`: monthly
    occurrences after a 31st are on the last day of shorter months, and on the 31st again later.
    """

    length: Duration
    since: int

    def first_after(self, time: int) -> int:
        """Returns the first occurrence after a time."""
        return self._occurrence(self._count(time) + 1)

    def newest(self, first: int, until: int, most: int) -> list[int]:
        """Returns the newest occurrences from `first` to `until`, both included; at most `most`."""
        last = self._count(until)
        begin = max(self._count(first - 1) + 1, last - most + 1)
        return [self._occurrence(number) for number in range(begin, last + 1)]

    def _occurrence(self, number: int) -> int:
        length = self.length
        return Duration(length.months * number, length.milliseconds * number).due(self.since)

    def _count(self, time: int) -> int:
        """Returns how many occurrences there are up to a time."""
        passed = max(0, time - self.since)
        months, milliseconds = self.length.months, self.length.milliseconds
        if not months:
            return passed // milliseconds
        most = passed // (months * _SHORTEST_MONTH + milliseconds)
        return bisect_right(range(1, most + 1), time, key=self._occurrence)
