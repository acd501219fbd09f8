"""A `schedule` as its author wrote it, in parsed form."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Protocol

from unspool.definitions.durations import BadDuration, Duration, parse_duration
from unspool.definitions.json_value import Json
from unspool.definitions.schedules.cron import Cron, parse_cron
from unspool.definitions.schedules.interval import Interval


class Series(Protocol):
    """Times at which a workflow starts, in milliseconds since 1970."""

    def first_after(self, time: int) -> int | None:
        """Returns the first occurrence after a time; None if there is none."""

    def newest(self, first: int, until: int, most: int) -> list[int]:
        """Returns the newest occurrences from `first` to `until`, both included; at most `most`."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The triggers of a schedule that are times. Each works alone (inventory C6)."""

    every: Duration | None = None
    cron: Cron | None = None
    after: Duration | None = None

    def series(self, trigger: str, since: int) -> Series:
        """Returns the occurrences of `every` or `cron`, for a schedule that began at `since`."""
        if trigger == "cron" and self.cron is not None:
            return self.cron
        if trigger == "every" and self.every is not None:
            return Interval(self.every, since)
        raise KeyError(trigger)


def parse_schedule(value: Mapping[str, Json], zone: tzinfo) -> Schedule:
    """Reads a schedule. `on` is ignored, because it is not a time; `event_trigger.py` reads it.

    Raises:
        BadCron: `cron` is not valid.
        BadDuration: `every` or `after` is not valid, or `every` is zero.
    """
    every, cron, after = (value.get(name) for name in ("every", "cron", "after"))
    return Schedule(
        None if every is None else parse_interval(every),
        None if cron is None else parse_cron(cron, zone),
        None if after is None else parse_duration(after),
    )


def parse_interval(value: Json) -> Duration:
    """Reads the duration of `every`, which cannot be zero.

    Raises:
        BadDuration: it is not valid.
    """
    duration = parse_duration(value)
    if not duration.milliseconds_from(0):
        raise BadDuration("'every' must be longer than zero")
    return duration
