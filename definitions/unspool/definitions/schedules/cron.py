"""The occurrences of `cron`: local times of a zone (inventory C2).

cronsim parses the expression and finds the next local time. This module finds the wrong field, and converts
local times: one that a clock change skips is the first time after the gap, one that exists twice is the first
of both. So each local time has one occurrence.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import dropwhile, islice, takewhile
from typing import Final

from cronsim import CronSim, CronSimError

MAX_LENGTH: Final = 256
"""Characters of an expression."""

_MACROS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_FIELDS: Final = (
    ("second", "0 to 59"),
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day of the month", "1 to 31, L for the last day, LW for the last weekday"),
    ("month", "1 to 12, or JAN to DEC"),
    (
        "day of the week",
        "0 to 7 (0 and 7: Sunday), SUN to SAT, 5L for the last Friday, 1#2 for the 2nd Monday",
    ),
)
_DAYS: Final = frozenset({3, 5})
"""The numbers of the two fields for days."""
_CHARACTERS: Final = re.compile(r"[0-9A-Za-z*,/#-]+")
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - local times have no zone here
_SECOND: Final = timedelta(seconds=1)


class BadCron(ValueError):
    """The text is not a cron expression, or it never fires."""

    def __init__(self, message: str, offset: int = 0) -> None:
        """Takes the message, and the index of the character at which the wrong part begins."""
        super().__init__(message)
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Cron:
    """The occurrences of an expression in a zone; all times are in milliseconds since 1970."""

    fields: str
    """The expression, as cronsim reads it."""
    zone: tzinfo

    def first_after(self, time: int) -> int | None:
        """Returns the first occurrence after a time; None if there is none in fifty years."""
        occurrences = self._occurrences(_local(time, self.zone), backwards=False)
        return next(dropwhile(lambda found: found <= time, occurrences), None)

    def newest(self, first: int, until: int, most: int) -> list[int]:
        """Returns the newest occurrences from `first` to `until`, both included; at most `most`."""
        local = _local(until, self.zone)
        # The repeated local times after this one are earlier than `until`, too.
        begin = local.replace(tzinfo=None) + _repeated(local) + _SECOND
        occurrences = self._occurrences(begin, backwards=True)
        past = dropwhile(lambda found: found > until, occurrences)
        wanted = takewhile(lambda found: found >= first, past)
        return list(islice(wanted, most))[::-1]

    def _occurrences(self, start: datetime, *, backwards: bool) -> Iterator[int]:
        """Yields the occurrences before or after a local time, each once."""
        last = None
        # The iteration also ends at a year that `datetime` does not have.
        try:
            for local in CronSim(self.fields, start.replace(tzinfo=None), reverse=backwards):
                found = _instant(local, self.zone)
                if found != last:  # several local times of a gap are one occurrence
                    yield found
                last = found
        except OverflowError:
            return


def parse_cron(text: str, zone: tzinfo) -> Cron:
    """Reads a cron expression: five fields, or six with the seconds first, or a name such as `@daily`.

    Raises:
        BadCron: the text is not an expression, or it never fires.
    """
    if len(text) > MAX_LENGTH:
        raise BadCron(f"a cron expression has at most {MAX_LENGTH} characters")
    if text.strip().startswith("@"):
        return Cron(_named(text), zone)
    fields = [(match[0], match.start()) for match in re.finditer(r"\S+", text)]
    if len(fields) not in {5, 6}:
        offset = fields[6][1] if len(fields) > 6 else 0
        raise BadCron(
            f"a cron expression has 5 fields, or 6 with the seconds first, not {len(fields)}", offset
        )
    first = 6 - len(fields)
    plain = [_field(number, *field) for number, field in enumerate(fields, first)]
    cron = Cron(" ".join(plain), zone)
    _check_that_it_fires(cron, fields[3 - first][1])
    return cron


def _named(text: str) -> str:
    name = text.strip().lower()
    if name not in _MACROS:
        raise BadCron(f"there is no '{name}'; there are {', '.join(_MACROS)}", text.index("@"))
    return _MACROS[name]


def _field(number: int, text: str, offset: int) -> str:
    """Returns a field as cronsim reads it: it has no `?`."""
    plain = "*" if text == "?" and number in _DAYS else text
    if not (_CHARACTERS.fullmatch(plain) and _is_valid(number, plain)):
        name, allowed = _FIELDS[number]
        raise BadCron(f"'{text}' is not a valid {name}: {allowed}; or *, lists, ranges and steps", offset)
    return ",".join(_without_step(number, term) for term in plain.split(","))


def _without_step(number: int, term: str) -> str:
    """A range of one value without its step: cronsim reads `5-5/2` like `5/2`, which has more values."""
    values, _, step = term.partition("/")
    first, _, last = values.partition("-")
    # Only a range of one value is also valid backwards.
    return values if step and last and _is_valid(number, f"{last}-{first}") else term


def _is_valid(number: int, text: str) -> bool:
    fields = ["*"] * len(_FIELDS)
    fields[number] = text
    try:
        CronSim(" ".join(fields), _EPOCH)
    except CronSimError:
        return False
    return True


def _check_that_it_fires(cron: Cron, offset: int) -> None:
    """Checks the fields together: valid ones can name a day that no month has. Raises `BadCron`."""
    try:
        fires = next(CronSim(cron.fields, _EPOCH.replace(year=2000)), None) is not None
    except CronSimError:
        fires = False
    if not fires:
        raise BadCron("it never fires: none of these months has such a day", offset)


def _local(time: int, zone: tzinfo) -> datetime:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=time // 1000)).astimezone(zone)


def _repeated(local: datetime) -> timedelta:
    """Returns by how much the clock was set back, for a local time that exists for the second time."""
    if not local.fold:
        return timedelta(0)
    return (local.replace(fold=0).utcoffset() or timedelta(0)) - (local.utcoffset() or timedelta(0))


def _instant(local: datetime, zone: tzinfo) -> int:
    """Returns when a local time is: the first of two times, or the end of a gap."""
    before, after = (_offset(local, zone, fold) for fold in (0, 1))
    seconds = (local - _EPOCH) // _SECOND
    if after <= before:
        return (seconds - before) * 1000
    # The clock is set forward between these two times, when the offset changes.
    gap = range(seconds - after, seconds - before + 1)
    return gap[bisect_left(gap, after, key=lambda second: _offset_at(second, zone))] * 1000


def _offset(local: datetime, zone: tzinfo, fold: int) -> int:
    return (local.replace(tzinfo=zone, fold=fold).utcoffset() or timedelta(0)) // _SECOND


def _offset_at(second: int, zone: tzinfo) -> int:
    return (_local(second * 1000, zone).utcoffset() or timedelta(0)) // _SECOND
