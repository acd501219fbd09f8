"""Durations: an object of units, or ISO 8601 (dsl-reference.md, "Duration").

Years and months have no fixed length. They are added by the calendar, in UTC, to the time at which a duration
starts. Everything else is exact. Results are whole milliseconds, rounded up, so that no timer fires early.
"""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import isodate

MAX_YEARS: Final = 10
"""The longest duration. Longer ones are mistakes or attacks."""

_ISO_8601: Final = re.compile(
    r"P(?!\Z)(?:[0-9]+(?:\.[0-9]+)?Y)?(?:[0-9]+(?:\.[0-9]+)?M)?(?:[0-9]+(?:\.[0-9]+)?W)?(?:[0-9]+(?:\.[0-9]+)?D)?"
    r"(?:T(?=[0-9])(?:[0-9]+(?:\.[0-9]+)?H)?(?:[0-9]+(?:\.[0-9]+)?M)?(?:[0-9]+(?:\.[0-9]+)?S)?)?"
)
_UNITS: Final = {
    "days": 86_400_000,
    "hours": 3_600_000,
    "minutes": 60_000,
    "seconds": 1_000,
    "milliseconds": 1,
}
_DAY: Final = _UNITS["days"]
_LONGEST: Final = MAX_YEARS * 366 * _DAY
_LONGEST_TEXT: Final = 64
_MILLISECOND: Final = timedelta(milliseconds=1)


class BadDuration(ValueError):
    """The value is not a duration, or exceeds a limit."""


@dataclass(frozen=True, slots=True)
class Duration:
    """A length of time: calendar months, and milliseconds."""

    months: int = 0
    milliseconds: int = 0

    def due(self, after_ms: int) -> int:
        """Returns when it ends if it starts at `after_ms`; both in milliseconds since the epoch."""
        return _later_by_months(after_ms, self.months) + self.milliseconds

    def milliseconds_from(self, now_ms: int) -> int:
        """Returns its length in milliseconds if it starts at `now_ms`."""
        return self.due(now_ms) - now_ms


NO_TIME: Final = Duration()


def parse_duration(value: Any, *, may_be_over: bool = False) -> Duration:
    """Reads a duration.

    Args:
        value: an object with whole numbers as `days`, `hours`, `minutes`, `seconds` or `milliseconds`, or
            text in ISO 8601.
        may_be_over: whether it may be negative, as an object or after a `-`: then it is no time.

    Raises:
        BadDuration: the value is not a duration, is negative (inventory N5), or is longer than ten years.
    """
    match value:
        case dict():
            duration = _from_units(value, may_be_over)
        case str() if may_be_over and value.startswith("-"):
            _from_iso_8601(value[1:])
            duration = NO_TIME
        case str():
            duration = _from_iso_8601(value)
        case _:
            raise BadDuration(
                "a duration is ISO 8601 text such as 'PT1M30S' or an object such as {minutes: 1}"
            )
    if duration.months * 30 * _DAY + duration.milliseconds > _LONGEST:
        raise BadDuration(f"a duration is at most {MAX_YEARS} years")
    return duration


def _from_units(units: dict[str, Any], may_be_over: bool) -> Duration:
    if not units:
        raise BadDuration(f"a duration needs at least one of {', '.join(_UNITS)}")
    amounts = (_amount(unit, number, may_be_over) * _UNITS[unit] for unit, number in units.items())
    return Duration(milliseconds=max(0, sum(amounts)))


def _amount(unit: str, number: Any, may_be_over: bool) -> int:
    if unit not in _UNITS:
        raise BadDuration(f"a duration has no '{unit[:40]}', only {', '.join(_UNITS)}")
    if not isinstance(number, int) or isinstance(number, bool):
        raise BadDuration(f"{unit} must be a whole number")
    if number < 0 and not may_be_over:
        raise BadDuration("a duration is not negative")
    return number


def _from_iso_8601(text: str) -> Duration:
    if len(text) > _LONGEST_TEXT or not _ISO_8601.fullmatch(text):
        raise BadDuration(f"'{text[:_LONGEST_TEXT]}' is not an ISO 8601 duration such as 'PT1M30S'")
    try:
        parsed = isodate.parse_duration(text, as_timedelta_if_possible=False)
    except (OverflowError, isodate.ISO8601Error) as error:
        raise BadDuration(f"a duration is at most {MAX_YEARS} years") from error
    months = parsed.years * 12 + parsed.months
    if months != int(months):
        raise BadDuration("years and months must add up to whole months, because months differ in length")
    return Duration(int(months), -(-parsed.tdelta // _MILLISECOND))


def _later_by_months(start_ms: int, months: int) -> int:
    """Returns the same day and time some months later, or the last day of a shorter month."""
    if not months:
        return start_ms
    start = datetime.fromtimestamp(start_ms // 1000, UTC)
    years, month = divmod(start.month - 1 + months, 12)
    year, month = start.year + years, month + 1
    later = start.replace(year=year, month=month, day=min(start.day, monthrange(year, month)[1]))
    return start_ms + (later - start) // _MILLISECOND
