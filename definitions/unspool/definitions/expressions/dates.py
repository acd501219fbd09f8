"""Dates as in jq: seconds since 1970, and broken-down times.

A broken-down time is `[year, month, day, hours, minutes, seconds, weekday, day of the year]`. Months,
weekdays and days of the year count from 0, as in C. Local time is UTC.
"""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from unspool.definitions.expressions.date_formats import ISO_8601, Time, reader, writer
from unspool.definitions.expressions.errors import EvaluationError
from unspool.definitions.expressions.frame import Frame, One, charge_text
from unspool.definitions.expressions.gregorian import date_of, days_until, is_year
from unspool.definitions.expressions.numbers import Number, computed
from unspool.definitions.expressions.ordering import is_number
from unspool.definitions.json_value import Json

_DAY: Final = 86_400
_FIELDS: Final = 6
"""Fields of a broken-down time that are used; the weekday and the day of the year follow from them."""
_INT: Final = 2**31
_FURTHEST: Final = 2.0**56
"""Seconds. The year stops fitting a C integer long before."""


def _broken_down(value: Json, name: str) -> list[Json]:
    if not is_number(value):
        raise EvaluationError(f"{name}() requires numeric inputs")
    seconds: Number = value
    time = _time(math.trunc(seconds)) if abs(seconds) < _FURTHEST else None
    if time is None:
        raise EvaluationError("error converting number of seconds since epoch to datetime")
    fraction = seconds - math.floor(seconds)
    return [*time[:5], computed(time.second + fraction), *time[6:8]]


def _time(seconds: int) -> Time | None:
    """Returns the broken-down time; None if the year does not fit a C integer."""
    days, rest = divmod(seconds, _DAY)
    year, month, day = date_of(days)
    if not is_year(year):
        return None
    minutes, second = divmod(rest, 60)
    weekday, day_of_year = (days + 4) % 7, days - days_until(year, 0, 1)
    return Time(year, month, day, minutes // 60, minutes % 60, second, weekday, day_of_year, seconds)


def _seconds(value: list[Json], name: str) -> int:
    """Returns the seconds of a broken-down time whose fields may exceed their ranges (C `timegm`)."""
    fields = [0, 0, 0, 0, 0, 0]
    for place, field in enumerate(value[: _FIELDS + 2]):
        if not is_number(field):
            raise EvaluationError(f"{name} requires parsed datetime inputs")
        if place < _FIELDS:
            fields[place] = _as_int(field - (0 if place else 1900))
    year, month, day, hour, minute, second = fields
    days = days_until(1900 + year + month // 12, month % 12, 1) + day - 1
    return days * _DAY + hour * 3600 + minute * 60 + second


def _as_int(number: float) -> int:
    return max(-_INT, min(_INT - 1, math.trunc(number)))


def _mktime(value: Json, _: Frame) -> int:
    if not isinstance(value, list):
        raise EvaluationError("mktime requires array inputs")
    seconds = _seconds(value, "mktime")
    if seconds == -1 or _time(seconds) is None:  # -1 is how C reports a failure
        raise EvaluationError("invalid gmtime representation")
    return seconds


def _strftime(pattern: str, name: str, zone: str) -> One:
    write = writer(pattern, zone)

    def run(value: Json, frame: Frame) -> str:
        if is_number(value):
            value = _broken_down(value, "gmtime" if name == "strftime" else "localtime")
        elif not isinstance(value, list):
            raise EvaluationError(f"{name}/1 requires parsed datetime inputs")
        time = _time(_seconds(value, f"{name}/1"))
        text = None if time is None else write(time)
        if text is None:
            raise EvaluationError(f"{name}/1: unknown system failure")
        charge_text(frame, 16 * len(text))
        return text

    return run


def _strptime(pattern: str) -> One:
    read = reader(pattern)

    def run(value: Json, frame: Frame) -> list[Json]:
        if not isinstance(value, str):
            raise EvaluationError("strptime/1 requires string inputs and arguments")
        charge_text(frame, len(value) + 16 * len(pattern))
        return read(value)

    return run


_TO_DATE: Final = _strftime(ISO_8601, "strftime", "GMT")
_FROM_DATE: Final = _strptime(ISO_8601)


def _from_date(value: Json, frame: Frame) -> int:
    return _mktime(_FROM_DATE(value, frame), frame)


DATE_FILTERS: Final[Mapping[str, One]] = MappingProxyType(
    {
        "gmtime": lambda value, _: _broken_down(value, "gmtime"),
        "localtime": lambda value, _: _broken_down(value, "localtime"),
        "mktime": _mktime,
        "todate": _TO_DATE,
        "todateiso8601": _TO_DATE,
        "fromdate": _from_date,
        "fromdateiso8601": _from_date,
    }
)
"""Builtins without arguments."""

DATE_FORMATS: Final[Mapping[str, Callable[[str], One]]] = MappingProxyType(
    {
        "strftime": lambda pattern: _strftime(pattern, "strftime", "GMT"),
        "strflocaltime": lambda pattern: _strftime(pattern, "strflocaltime", "UTC"),
        "strptime": _strptime,
    }
)
"""Builtins with a format, which is known when the expression is compiled. They raise `OutsideSubset` for a
format with other codes than those that `date_formats` knows."""
