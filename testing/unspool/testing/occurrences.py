"""When a schedule starts executions."""

from collections.abc import Mapping
from datetime import tzinfo

from unspool.definitions.json_value import Json
from unspool.definitions.schedules import parse_schedule


class Occurrences:
    """The times of a schedule, in order; each trigger works alone (docs/schedules.md)."""

    def __init__(self, schedule: Mapping[str, Json], since: int, zone: tzinfo) -> None:
        """Takes the schedule, the time of its deployment in milliseconds since 1970, and the zone of `cron`.

        Raises:
            ValueError: it has no trigger.
        """
        parsed = parse_schedule(schedule, zone)
        self._series = [parsed.series(name, since) for name in ("every", "cron") if name in schedule]
        self._after = parsed.after
        self._due = [series.first_after(since) for series in self._series]
        self._after_due = since if parsed.after is not None else None
        self._begun_by_after = False
        if not schedule:
            raise ValueError("the workflow has no schedule")

    def following(self, before: float) -> int | None:
        """Returns the next time up to `before`, in milliseconds since 1970; None without one."""
        due = [each for each in (*self._due, self._after_due) if each is not None]
        if not due or min(due) > before:
            return None
        at = min(due)
        self._begun_by_after = at == self._after_due
        if not self._begun_by_after:
            place = self._due.index(at)
            self._due[place] = self._series[place].first_after(at)
        return at

    def ended(self, at: int) -> None:
        """Takes the end of the execution that the last time started: `after` counts from there."""
        if self._begun_by_after and self._after is not None:
            self._after_due = self._after.due(at)
