"""Durations (dsl-reference.md, "Duration"; inventory I24, N5)."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unspool.definitions.durations import BadDuration, Duration, parse_duration


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("value", "milliseconds"),
    [
        ({"seconds": 1}, 1000),
        ({"days": 1, "hours": 2, "minutes": 3, "seconds": 4, "milliseconds": 5}, 93_784_005),
        ({"seconds": 0}, 0),
        ("PT0S", 0),
        ("PT1.5S", 1500),
        ("PT0.0001S", 1),
        ("P1W2DT3H4M5S", 788_645_000),
        ("PT0.5H", 1_800_000),
        ("P0.5D", 43_200_000),
    ],
)
def test_exact_durations(value: Any, milliseconds: int) -> None:
    assert parse_duration(value) == Duration(milliseconds=milliseconds)
    assert parse_duration(value).milliseconds_from(1_700_000_000_000) == milliseconds


@pytest.mark.parametrize(
    ("value", "start", "end"),
    [
        ("P1M", "2024-01-31T12:00:00", "2024-02-29T12:00:00"),
        ("P1M", "2023-01-31T12:00:00", "2023-02-28T12:00:00"),
        ("P1Y", "2024-02-29T00:00:00", "2025-02-28T00:00:00"),
        ("P1Y2M3DT4H", "2024-11-30T00:00:00", "2026-02-02T04:00:00"),
        ("P0.5Y", "2024-01-15T00:00:00", "2024-07-15T00:00:00"),
    ],
)
def test_years_and_months_follow_the_calendar(value: str, start: str, end: str) -> None:
    assert parse_duration(value).due(at(start)) == at(end)


def test_milliseconds_of_the_start_are_kept() -> None:
    start = at("2024-01-31T12:00:00") + 123
    assert parse_duration("P1M").due(start) == at("2024-02-29T12:00:00") + 123


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("PT", "not an ISO 8601 duration"),
        ("P", "not an ISO 8601 duration"),
        ("P1DT", "not an ISO 8601 duration"),
        ("-PT1S", "not an ISO 8601 duration"),
        ("pt1s", "not an ISO 8601 duration"),
        ("PT1,5S", "not an ISO 8601 duration"),
        ("PT1S\n", "not an ISO 8601 duration"),
        ("PT\u0663S", "not an ISO 8601 duration"),
        ("P" + "9" * 100_000 + "D", "not an ISO 8601 duration"),
        ("P11Y", "at most 10 years"),
        ("P99999999999999D", "at most 10 years"),
        ({"days": 10**15}, "at most 10 years"),
        ("P0.5M", "whole months"),
        ({}, "at least one of"),
        ({"second": 1}, "has no 'second'"),
        ({"days": -1}, "not negative"),
        ({"days": 1.5}, "whole number"),
        ({"days": True}, "whole number"),
        (5, "ISO 8601 text"),
        (None, "ISO 8601 text"),
    ],
)
def test_the_error_about_an_invalid_duration_names_the_cause(value: Any, says: str) -> None:
    with pytest.raises(BadDuration, match=says):
        parse_duration(value)


@given(st.integers(0, 4_102_444_800_000), st.integers(0, 119), st.integers(0, 10_000_000))
def test_a_duration_never_ends_early(start: int, months: int, milliseconds: int) -> None:
    duration = Duration(months, milliseconds)
    assert duration.due(start) >= start + milliseconds + months * 28 * 86_400_000
    assert duration.milliseconds_from(start) == duration.due(start) - start


@pytest.mark.parametrize(
    "value", [{"days": -1}, {"minutes": 1, "seconds": -61}, "-PT1S", "-P1M", {"days": -(10**30)}]
)
def test_a_duration_that_may_be_over_is_no_time(value: Any) -> None:
    assert parse_duration(value, may_be_over=True) == Duration(0, 0)
    assert parse_duration({"minutes": 1, "seconds": -58}, may_be_over=True).milliseconds == 2_000
    with pytest.raises(BadDuration, match="not an ISO 8601 duration"):
        parse_duration("--PT1S", may_be_over=True)
