"""The formats of `strftime` and `strptime`, as the GNU C library reads and writes them in the C locale."""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from unspool.definitions.expressions.errors import EvaluationError, OutsideSubset
from unspool.definitions.expressions.gregorian import days_until, is_leap
from unspool.definitions.json_value import Json

ISO_8601: Final = "%Y-%m-%dT%H:%M:%SZ"

_DAYS: Final = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
    *("October", "November", "December"),
)
_COMBINED: Final = {
    "c": "%a %b %e %H:%M:%S %Y",
    "D": "%m/%d/%y",
    "F": "%Y-%m-%d",
    "r": "%I:%M:%S %p",
    "R": "%H:%M",
    "T": "%H:%M:%S",
    "x": "%m/%d/%y",
    "X": "%H:%M:%S",
}
_PIECE: Final = re.compile(r"%(.)|([^%]+)|(%)", re.DOTALL)
_SPACE: Final = " \t\n\v\f\r"
_ROOM: Final = 100
"""Bytes that jq allows a written date to be longer than its format."""


class Time(NamedTuple):
    """A broken-down time and its seconds since 1970."""

    year: int
    month: int
    day: int
    hour: int
    minute: int
    second: int
    weekday: int
    day_of_year: int
    seconds: int


def _pieces(pattern: str) -> list[tuple[str, str]]:
    """Returns the codes and the texts between them; combined codes are resolved.

    Raises:
        OutsideSubset: the pattern ends within a code, or holds the end of a C string.
    """
    found: list[tuple[str, str]] = []
    for match in _PIECE.finditer(pattern):
        code, text = match[1], match[2]
        if match[3] or "\0" in match[0]:
            raise OutsideSubset
        if code in _COMBINED:
            found += _pieces(_COMBINED[code])
        else:
            found.append((code or "", text or ""))
    return found


# -- writing


def _iso_week(time: Time) -> tuple[int, int]:
    """Returns the year and the number of the week by ISO 8601."""
    thursday = time.day_of_year - (time.weekday - 1) % 7 + 3
    year = time.year
    if thursday < 0:
        year -= 1
        thursday += 365 + is_leap(year)
    elif thursday >= 365 + is_leap(year):
        thursday -= 365 + is_leap(year)
        year += 1
    return year, thursday // 7 + 1


_WRITERS: Final[Mapping[str, Callable[[Time], str]]] = MappingProxyType(
    {
        "a": lambda time: _DAYS[time.weekday][:3],
        "A": lambda time: _DAYS[time.weekday],
        "b": lambda time: _MONTHS[time.month][:3],
        "B": lambda time: _MONTHS[time.month],
        "d": lambda time: f"{time.day:02d}",
        "e": lambda time: f"{time.day:2d}",
        "g": lambda time: f"{_iso_week(time)[0] % 100:02d}",
        "G": lambda time: str(_iso_week(time)[0]),
        "h": lambda time: _MONTHS[time.month][:3],
        "H": lambda time: f"{time.hour:02d}",
        "I": lambda time: f"{time.hour % 12 or 12:02d}",
        "j": lambda time: f"{time.day_of_year + 1:03d}",
        "k": lambda time: f"{time.hour:2d}",
        "l": lambda time: f"{time.hour % 12 or 12:2d}",
        "m": lambda time: f"{time.month + 1:02d}",
        "M": lambda time: f"{time.minute:02d}",
        "n": lambda _: "\n",
        "p": lambda time: "PM" if time.hour >= 12 else "AM",
        "P": lambda time: "pm" if time.hour >= 12 else "am",
        "s": lambda time: str(time.seconds),
        "S": lambda time: f"{time.second:02d}",
        "t": lambda _: "\t",
        "u": lambda time: str(time.weekday or 7),
        "U": lambda time: f"{(time.day_of_year + 7 - time.weekday) // 7:02d}",
        "V": lambda time: f"{_iso_week(time)[1]:02d}",
        "w": lambda time: str(time.weekday),
        "W": lambda time: f"{(time.day_of_year + 7 - (time.weekday - 1) % 7) // 7:02d}",
        "y": lambda time: f"{time.year % 100:02d}",
        "Y": lambda time: str(time.year),
        "z": lambda _: "+0000",
        "%": lambda _: "%",
    }
)
"""By code; flags, widths and the modifiers E and O are outside the subset."""


def writer(pattern: str, zone: str) -> Callable[[Time], str | None]:
    """Returns a function that writes a time (`strftime`). It returns None if jq has no room for the text.

    Raises:
        OutsideSubset: the pattern has other codes.
    """
    parts: list[Callable[[Time], str]] = []
    for code, text in _pieces(pattern):
        literal = zone if code == "Z" else text
        write = _WRITERS.get(code) if code and code != "Z" else (lambda _, literal=literal: literal)
        if write is None:
            raise OutsideSubset
        parts.append(write)
    room = len(pattern.encode()) + _ROOM

    def run(time: Time) -> str | None:
        text = "".join([part(time) for part in parts])
        return text if len(text.encode()) < room else None

    return run


# -- reading


class _Parsed:
    """The fields that have been read, as in C, and which of them were given."""

    def __init__(self) -> None:
        self.year = 1900
        self.month = self.day = self.hour = self.minute = self.second = 0
        self.weekday, self.day_of_year = 8, 367
        self.given: set[str] = set()
        self.afternoon = False

    def finished(self) -> list[Json]:
        """Returns the broken-down time, with the weekday and the day of the year if they follow from it."""
        given = self.given
        if self.afternoon and "half" in given:
            self.hour += 12
        dated = given & {"year", "month", "day"}
        starts = _starts(self.year)
        if dated and "weekday" not in given:
            if not {"month", "day"} <= given and "day_of_year" in given:
                month = max(place for place in range(12) if starts[place] <= self.day_of_year)
                self.month = self.month if "month" in given else month
                self.day = self.day if "day" in given else self.day_of_year - starts[month] + 1
                given |= {"month", "day"}
            self.weekday = (days_until(self.year, self.month, 1) + self.day - 1 + 4) % 7
        if dated and "day_of_year" not in given:
            self.day_of_year = starts[self.month] + self.day - 1
        date, time = [self.year, self.month, self.day], [self.hour, self.minute, self.second]
        return [*date, *time, self.weekday, self.day_of_year]


def _starts(year: int) -> list[int]:
    """Returns the day of the year on which each month starts."""
    first = days_until(year, 0, 1)
    return [days_until(year, month, 1) - first for month in range(12)]


_Read = Callable[[str, int, _Parsed], int]
"""Reads at a position of a text; returns the position after it."""


def _mismatch() -> EvaluationError:
    return EvaluationError("the date does not match the format")


def _number(text: str, at: int, low: int, high: int, width: int) -> tuple[int, int]:
    while text.startswith(" ", at):
        at += 1
    number, start = 0, at
    while "0" <= text[at : at + 1] <= "9" and at - start < width and number * 10 <= high:
        number = number * 10 + int(text[at])
        at += 1
    if at == start or not low <= number <= high:
        raise _mismatch()
    return number, at


def _numeric(field: str, low: int, high: int, width: int, *, plus: int = 0) -> _Read:
    def read(text: str, at: int, parsed: _Parsed) -> int:
        number, at = _number(text, at, low, high, width)
        setattr(parsed, field, number + plus)
        parsed.given.add(field)
        return at

    return read


def _hour(text: str, at: int, parsed: _Parsed) -> int:
    parsed.hour, at = _number(text, at, 0, 23, 2)
    parsed.given.discard("half")
    return at


def _half_day_hour(text: str, at: int, parsed: _Parsed) -> int:
    hour, at = _number(text, at, 1, 12, 2)
    parsed.hour = hour % 12
    parsed.given.add("half")
    return at


def _short_year(text: str, at: int, parsed: _Parsed) -> int:
    year, at = _number(text, at, 0, 99, 2)
    parsed.year = year + (1900 if year >= 69 else 2000)
    parsed.given.add("year")
    return at


def _named(field: str, names: tuple[str, ...]) -> _Read:
    def read(text: str, at: int, parsed: _Parsed) -> int:
        for number, name in enumerate(names):
            for spelling in (name, name[:3]):
                if text[at : at + len(spelling)].lower() == spelling.lower():
                    setattr(parsed, field, number)
                    parsed.given.add(field)
                    return at + len(spelling)
        raise _mismatch()

    return read


def _half(text: str, at: int, parsed: _Parsed) -> int:
    half = text[at : at + 2].upper()
    if half not in ("AM", "PM"):
        raise _mismatch()
    parsed.afternoon = half == "PM"
    return at + 2


def _spaces(text: str, at: int, _: _Parsed) -> int:
    while text[at : at + 1] and text[at] in _SPACE:
        at += 1
    return at


def _zone_name(text: str, at: int, parsed: _Parsed) -> int:
    at = _spaces(text, at, parsed)
    while text[at : at + 1] and text[at] not in _SPACE:
        at += 1
    return at


_OFFSET: Final = re.compile(r"[ \t\n\v\f\r]*(?:Z|[+-][0-9]{2}(?::?[0-5][0-9]|(?!:?[0-9])))", re.ASCII)


def _offset(text: str, at: int, _: _Parsed) -> int:
    match = _OFFSET.match(text, at)
    if match is None:
        raise _mismatch()
    return match.end()  # jq ignores it


def _literal(expected: str) -> _Read:
    def read(text: str, at: int, _: _Parsed) -> int:
        if not text.startswith(expected, at):
            raise _mismatch()
        return at + len(expected)

    return read


_READERS: Final[Mapping[str, _Read]] = MappingProxyType(
    {
        **dict.fromkeys(("a", "A"), _named("weekday", _DAYS)),
        **dict.fromkeys(("b", "B", "h"), _named("month", _MONTHS)),
        **dict.fromkeys(("d", "e"), _numeric("day", 1, 31, 2)),
        **dict.fromkeys(("H", "k"), _hour),
        **dict.fromkeys(("I", "l"), _half_day_hour),
        **dict.fromkeys(("n", "t"), _spaces),
        "j": _numeric("day_of_year", 1, 366, 3, plus=-1),
        "m": _numeric("month", 1, 12, 2, plus=-1),
        "M": _numeric("minute", 0, 59, 2),
        "p": _half,
        "S": _numeric("second", 0, 61, 2),
        "y": _short_year,
        "Y": _numeric("year", 0, 9999, 4),
        "z": _offset,
        "Z": _zone_name,
        "%": _literal("%"),
    }
)
"""By code; the others are outside the subset."""


def _reads(code: str, text: str) -> list[_Read]:
    if not code:
        parts = re.findall(rf"[{_SPACE}]+|[^{_SPACE}]+", text)
        return [_spaces if part[0] in _SPACE else _literal(part) for part in parts]
    if code not in _READERS:
        raise OutsideSubset
    return [_READERS[code]]


def reader(pattern: str) -> Callable[[str], list[Json]]:
    """Returns a function that reads a broken-down time (`strptime`). It raises `EvaluationError`.

    Raises:
        OutsideSubset: the pattern has other codes.
    """
    reads = [read for piece in _pieces(pattern) for read in _reads(*piece)]

    def run(text: str) -> list[Json]:
        text = text.partition("\0")[0]
        parsed, at = _Parsed(), 0
        for read in reads:
            at = read(text, at, parsed)
        rest = text[at:]
        if rest and rest[0] not in _SPACE:
            raise _mismatch()
        return [*parsed.finished(), *([rest] if rest else [])]

    return run
