"""The occurrences of schedules (dsl-reference.md, "Schedule"; inventory C1, C2)."""
# ruff: noqa: DTZ001, E501 - local times have no zone before they get one; in tables a case is a line

import time
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unspool.definitions.checks import check
from unspool.definitions.document import load
from unspool.definitions.durations import BadDuration, Duration
from unspool.definitions.problems import Problem
from unspool.definitions.schedules import BadCron, Interval, Series, parse_cron, parse_schedule

BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
LORD_HOWE, APIA = ZoneInfo("Australia/Lord_Howe"), ZoneInfo("Pacific/Apia")
DAY = 86_400_000


def at(text: str, zone: tzinfo = UTC) -> int:
    """Returns the first time with this local time, in milliseconds."""
    return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000)


def local(occurrence: int, zone: tzinfo) -> str:
    return datetime.fromtimestamp(occurrence / 1000, UTC).astimezone(zone).isoformat()


def following(series: Series, after: int, count: int) -> list[int]:
    found = []
    for _ in range(count):
        occurrence = series.first_after(after)
        assert occurrence is not None
        assert occurrence > after
        found.append(occurrence)
        after = occurrence
    return found


# -- cron


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("*/20 9 * * *", ["2026-03-02T09:00:00", "2026-03-02T09:20:00", "2026-03-02T09:40:00"]),
        ("30 0 9 * * *", ["2026-03-02T09:00:30", "2026-03-03T09:00:30", "2026-03-04T09:00:30"]),
        ("*/25 59 23 * * *", ["2026-03-01T23:59:00", "2026-03-01T23:59:25", "2026-03-01T23:59:50"]),
        ("0 12 * JUN-AUG mon", ["2026-06-01T12:00:00", "2026-06-08T12:00:00", "2026-06-15T12:00:00"]),
        ("0 0 L * *", ["2026-03-31T00:00:00", "2026-04-30T00:00:00", "2026-05-31T00:00:00"]),
        ("0 0 LW * *", ["2026-03-31T00:00:00", "2026-04-30T00:00:00", "2026-05-29T00:00:00"]),
        ("0 0 * * 5L", ["2026-03-27T00:00:00", "2026-04-24T00:00:00", "2026-05-29T00:00:00"]),
        ("0 0 ? * 1#2", ["2026-03-09T00:00:00", "2026-04-13T00:00:00", "2026-05-11T00:00:00"]),
        ("0 0 29 2 *", ["2028-02-29T00:00:00", "2032-02-29T00:00:00", "2036-02-29T00:00:00"]),
        ("5-05/2,9/40 * * * *", ["2026-03-01T22:05:00", "2026-03-01T22:09:00", "2026-03-01T22:49:00"]),
        ("0 0 * * SUN-SUN/1", ["2026-03-08T00:00:00", "2026-03-15T00:00:00", "2026-03-22T00:00:00"]),
        (" @daily ", ["2026-03-02T00:00:00", "2026-03-03T00:00:00", "2026-03-04T00:00:00"]),
    ],
)
def test_the_fields_of_cron(expression: str, says: list[str]) -> None:
    cron = parse_cron(expression, UTC)
    found = following(cron, at("2026-03-01T22:00:00"), 3)
    assert [local(time, UTC).removesuffix("+00:00") for time in found] == says


@pytest.mark.parametrize(
    ("zone", "expression", "since", "says"),
    [
        # Forward from 02:00 to 03:00: what is skipped fires at 03:00, once.
        (BERLIN, "30 2 * * *", "2026-03-28T12:00", ["2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]),
        (BERLIN, "0 30 2 * * *", "2026-03-28T12:00", ["2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]),
        (BERLIN, "0,30 2,3 * * *", "2026-03-29T00:00", ["2026-03-29T03:00:00+02:00", "2026-03-29T03:30:00+02:00"]),
        (NEW_YORK, "15 2 * * *", "2026-03-08T00:00", ["2026-03-08T03:00:00-04:00", "2026-03-09T02:15:00-04:00"]),
        # Back from 03:00 to 02:00: what exists twice fires the first time.
        (BERLIN, "30 2 * * *", "2026-10-24T12:00", ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]),
        (BERLIN, "0 30 2 * * *", "2026-10-24T12:00", ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]),
        (NEW_YORK, "59 1 * * *", "2026-11-01T00:00", ["2026-11-01T01:59:00-04:00", "2026-11-02T01:59:00-05:00"]),
        # Lord Howe changes its clock by half an hour, from 02:00 to 02:30 and back.
        (LORD_HOWE, "15 2 * * *", "2026-10-03T12:00", ["2026-10-04T02:30:00+11:00", "2026-10-05T02:15:00+11:00"]),
        (LORD_HOWE, "45 1 * * *", "2026-04-04T12:00", ["2026-04-05T01:45:00+11:00", "2026-04-06T01:45:00+10:30"]),
        # Samoa skipped the 30th of December 2011.
        (APIA, "0 12 * * *", "2011-12-29T12:00", ["2011-12-31T00:00:00+14:00", "2011-12-31T12:00:00+14:00"]),
    ],
)  # fmt: skip
def test_clock_changes(zone: tzinfo, expression: str, since: str, says: list[str]) -> None:
    """Local times that are skipped fire at the next that exists, those that exist twice fire once."""
    cron = parse_cron(expression, zone)
    found = following(cron, at(since, zone), 2)
    assert [local(occurrence, zone) for occurrence in found] == says
    assert cron.newest(at(since, zone) + 1, found[-1], 10) == found


def test_the_second_of_two_equal_local_times_is_later_than_the_occurrences_of_the_first() -> None:
    cron = parse_cron("*/30 1,2,3 * * *", BERLIN)
    second = at("2026-10-25T01:10:00")  # 02:10, an hour after it was 02:10
    assert local(second, BERLIN) == "2026-10-25T02:10:00+01:00"
    assert [local(one, BERLIN) for one in following(cron, second, 1)] == ["2026-10-25T03:00:00+01:00"]
    newest = cron.newest(at("2026-10-24T00:00:00"), second, 2)
    assert [local(one, BERLIN) for one in newest] == [
        "2026-10-25T02:00:00+02:00",
        "2026-10-25T02:30:00+02:00",
    ]


@settings(deadline=None)
@given(
    expression=st.sampled_from(
        ["*/7 * * * *", "0 0 2 * * *", "30 1-3 * * *", "*/20 30 2 * * 0", "0 */5 * * *", "15 10 L * *"]
    ),
    zone=st.sampled_from([UTC, BERLIN, NEW_YORK, LORD_HOWE, ZoneInfo("Asia/Kathmandu")]),
    start=st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31)),
    count=st.integers(1, 30),
)
def test_backwards_finds_the_same_as_forwards(
    expression: str, zone: tzinfo, start: datetime, count: int
) -> None:
    begin = int(start.replace(tzinfo=UTC).timestamp() * 1000)
    cron = parse_cron(expression, zone)
    forwards = following(cron, begin, count)
    assert cron.newest(begin + 1, forwards[-1], count + 5) == forwards
    assert cron.newest(begin + 1, forwards[-1] - 1, count + 5) == forwards[:-1]
    assert cron.newest(0, forwards[-1], 1) == forwards[-1:]


@settings(deadline=None)
@given(
    expression=st.sampled_from(["17 * * * *", "*/5 2 * * *", "0 0,1,2,3 * * *"]),
    zone=st.sampled_from([BERLIN, NEW_YORK, LORD_HOWE]),
    day=st.integers(0, 400),
)
def test_each_local_time_of_a_day_has_one_occurrence(expression: str, zone: tzinfo, day: int) -> None:
    """Compared with the local times of the same day in a zone without clock changes."""
    midnight = datetime(2026, 1, 1) + timedelta(days=day)
    begin, end = (at((midnight + timedelta(days=more)).isoformat(), zone) for more in (0, 1))
    plain = int(midnight.replace(tzinfo=UTC).timestamp() * 1000)
    wanted = {local(one, UTC)[:19] for one in parse_cron(expression, UTC).newest(plain, plain + DAY - 1, 999)}
    found = parse_cron(expression, zone).newest(begin, end - 1, 999)
    shown = [local(one, zone)[:19] for one in found]
    assert len(set(shown)) == len(shown)
    for time_ in wanted:
        moment = datetime.fromisoformat(time_)
        exists = moment.replace(tzinfo=zone).astimezone(UTC).astimezone(zone).replace(tzinfo=None) == moment
        assert (time_ in shown) >= exists


@pytest.mark.parametrize(
    ("expression", "offset", "says"),
    [
        ("0 25 * * *", 2, "'25' is not a valid hour"),
        ("0  0 * * FRI-MON", 9, "'FRI-MON' is not a valid day of the week"),
        ("60 0 0 * * *", 0, "'60' is not a valid second"),
        ("0 0 0 * *", 4, "'0' is not a valid day of the month"),
        ("*/0 * * * *", 0, "'*/0' is not a valid minute"),
        ("0 0 * FOO *", 6, "'FOO' is not a valid month"),
        ("? * * * *", 0, "'?' is not a valid minute"),
        ("0 ² * * *", 2, "'²' is not a valid hour"),
        ("* * * *", 0, "5 fields, or 6 with the seconds first, not 4"),
        ("0 0 0 1 1 * 2027", 12, "not 7"),
        ("", 0, "not 0"),
        (" @dayly", 1, "there is no '@dayly'"),
        ("0 0 31 2 *", 4, "it never fires"),
        ("0 0 30 2 */2", 4, "it never fires"),
        ("0 0 0 31 4,6,9,11 ?", 6, "it never fires"),
        ("1," * 200 + "1 * * * *", 0, "at most 256 characters"),
    ],
)
def test_bad_cron(expression: str, offset: int, says: str) -> None:
    with pytest.raises(BadCron, match=says.replace("*", r"\*").replace("?", r"\?")) as bad:
        parse_cron(expression, UTC)
    assert bad.value.offset == offset


@settings(deadline=None)
@given(st.text(st.sampled_from("0123456789*/,-#?LWAMONJ @ ²\t"), max_size=40) | st.text(max_size=20))
def test_any_text_is_a_cron_or_a_bad_one(text: str) -> None:
    try:
        parse_cron(text, UTC)
    except BadCron as bad:
        assert 0 <= bad.offset <= len(text)


@pytest.mark.parametrize("expression", ["0 0 29 2 */9", "0 0 * 2 MON#5", "59 59 23 31 12 7L", "* * * * * *"])
def test_rare_and_frequent_occurrences_are_found_in_little_time(expression: str) -> None:
    began = time.process_time()
    cron = parse_cron(expression, BERLIN)
    assert cron.first_after(at("2026-03-01T00:00:00")) is not None
    assert cron.newest(0, at("2026-03-01T00:00:00"), 1000)
    assert time.process_time() - began < 1


# -- every


def test_a_fixed_rate_begins_after_one_interval() -> None:
    """Inventory C1."""
    every = Interval(Duration(milliseconds=1000), 500)
    assert following(every, 500, 3) == [1500, 2500, 3500]
    assert every.first_after(0) == 1500
    assert every.newest(1500, 10**9, 2) == [999_998_500, 999_999_500]
    assert every.newest(2600, 3000, 9) == []


@settings(deadline=None)
@given(
    months=st.integers(0, 14),
    milliseconds=st.integers(0, 3 * DAY),
    since=st.integers(0, 60_000 * DAY // 2),
    offset=st.integers(-DAY, 3000 * DAY),
)
def test_intervals_do_not_drift(months: int, milliseconds: int, since: int, offset: int) -> None:
    """An occurrence is a multiple of the interval after the start, however it is found."""
    if not months:
        milliseconds += DAY  # otherwise the comparison below is long
    every = Interval(Duration(months, milliseconds), since)
    times = [Duration(months * n, milliseconds * n).due(since) for n in range(1, 3300)]
    time_ = since + offset
    assert every.first_after(time_) == next(one for one in times if one > time_)
    assert every.newest(since, time_, 7) == [one for one in times if one <= time_][-7:]


def test_monthly_occurrences_return_to_the_31st() -> None:
    monthly = Interval(Duration(months=1), at("2026-01-31T08:00:00"))
    found = following(monthly, at("2026-01-31T08:00:00"), 3)
    assert [local(one, UTC)[:10] for one in found] == ["2026-02-28", "2026-03-31", "2026-04-30"]


def test_the_triggers_of_a_schedule() -> None:
    schedule = parse_schedule({"every": {"seconds": 5}, "after": "PT0S", "cron": "@hourly"}, UTC)
    assert (schedule.every, schedule.after) == (Duration(milliseconds=5000), Duration())
    assert schedule.series("every", 100).first_after(100) == 5100
    assert schedule.series("cron", 100).first_after(100) == 3_600_000
    with pytest.raises(BadDuration):
        parse_schedule({"every": "PT0S"}, UTC)


# -- the check of a definition


def problems(schedule: str) -> list[Problem]:
    head = "document: {dsl: '1.0.3', namespace: test, name: w, version: 1.0.0}\n"
    return list(check(load(f"{head}schedule: {schedule}\ndo: []\n")))


@pytest.mark.parametrize(
    ("schedule", "column", "says"),
    [
        ("{cron: '0 25 * * *'}", 21, "/schedule/cron: '25' is not a valid hour"),
        ("{cron: 0 0 31 2 *}", 22, "/schedule/cron: it never fires"),
        ("{every: {seconds: 0}}", 12, "/schedule/every: 'every' must be longer than zero"),
        ("{every: '${ .x }'}", 19, "/schedule/every: a schedule has no data for an expression"),
        ("{after: PT1X}", 19, "/schedule/after: 'PT1X' is not an ISO 8601 duration"),
        ("{}", 1, "/schedule: a schedule needs at least one of every, cron, after, on"),
        ("{on: {one: {with: {type: t}}}, cron: x}", 48, "/schedule/cron: a cron expression has 5 fields"),
    ],
)
def test_a_schedule_that_cannot_work_is_an_error_with_its_place(
    schedule: str, column: int, says: str
) -> None:
    [problem] = problems(schedule)
    assert f"{problem.pointer}: {problem.message}".startswith(says)
    assert (problem.line, problem.column) == (2, column)


def test_valid_schedules() -> None:
    for schedule in ("{every: PT1S}", "{after: PT0S}", "{cron: '@daily', every: {days: 1}}"):
        assert problems(schedule) == []
