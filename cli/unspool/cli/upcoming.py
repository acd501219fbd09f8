"""The next occurrences of a schedule, as `unspool validate` shows them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import islice
from typing import Final

from unspool.definitions.json_value import Json
from unspool.definitions.schedules import Schedule, Series, parse_schedule

_COUNT: Final = 3
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def upcoming(value: dict[str, Json], zone: tzinfo, now: int) -> dict[str, list[str]]:
    """Returns the next occurrences of each trigger, if the schedule begins at `now`, as local times.

    Args:
        value: a checked schedule.
        zone: the zone of `cron` and of the result.
        now: milliseconds since 1970.
    """
    schedule = parse_schedule(value, zone)
    return {
        trigger: [_text(time, zone) for time in islice(times, _COUNT)]
        for trigger, times in _times(schedule, now)
    }


def _times(schedule: Schedule, now: int) -> Iterator[tuple[str, Iterator[int]]]:
    for trigger in ("every", "cron"):
        if getattr(schedule, trigger) is not None:
            yield trigger, _following(schedule.series(trigger, now), now)
    if schedule.after is not None:
        yield "after", iter([now])  # the others depend on when the executions end


def _following(series: Series, time: int) -> Iterator[int]:
    following = series.first_after(time)
    while following is not None:
        yield following
        following = series.first_after(following)


def _text(time: int, zone: tzinfo) -> str:
    local = (_EPOCH + timedelta(milliseconds=time)).astimezone(zone)
    return local.isoformat(timespec="milliseconds" if time % 1000 else "seconds")
