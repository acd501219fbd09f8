"""Dates in closures against real jq, over many times, formats and texts."""

import json
from functools import lru_cache
from typing import Any

import jq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unspool.definitions.expressions import NOW, ExpressionCompiler, ExpressionError

WRITTEN = "aAbBcdDeFgGhHIjklmMnpPrRsStTuUVwWxXyYzZ%"
READ = "aAbBcdDeFhHIjklmMnprRStTxXyYzZ%"
FAILED = "failed"

SECONDS = st.one_of(
    st.integers(-(10**10), 10**11),
    st.integers(-(10**4), 10**4),
    st.integers(0, 2 * 10**9),
    st.floats(0, 4e9),
    st.floats(-4e9, 4e9),
    st.sampled_from([0, -1, -1.5, -0.5, 951782400, 951868799, 1e18, -1e18, 67767976233532799 / 2, 1e300]),
)
FIELDS = st.one_of(st.integers(-100, 500), st.floats(-50, 50), st.sampled_from([None, "x", 1e6]))
BROKEN_DOWN = st.one_of(
    st.tuples(
        st.integers(1, 9999),
        st.integers(-20, 40),
        st.integers(-40, 500),
        st.integers(-50, 100),
        st.integers(-100, 1000),
        st.floats(-100, 1000),
    ).map(list),
    st.lists(FIELDS, max_size=9),
)
OTHER = st.sampled_from([None, True, "x", "2015-03-05T23:51:47Z", {}, [], [None], [2024, 1], ["x"]])
TIMES = st.one_of(SECONDS, SECONDS, BROKEN_DOWN, OTHER)


def formats(codes: str) -> st.SearchStrategy[str]:
    piece = st.one_of(
        st.sampled_from(codes).map("%{}".format),
        st.sampled_from([" ", "-", ":", "/", "T", "Z", "é", "  ", ", "]),
    )
    return st.lists(piece, max_size=8).map("".join)


@lru_cache(maxsize=8)
def compiled(source: str) -> Any:
    """The program of jq. To compile it takes longer than to run it, so what changes is its input."""
    return jq.compile(f". as [$value, $pattern] | $value | {source} | tojson")


def by_jq(source: str, value: Any, pattern: str = "") -> Any:
    try:
        return json.loads(compiled(source).input_text(json.dumps([value, pattern])).first())
    except ValueError:
        return FAILED


def by_closures(source: str, value: Any) -> Any:
    expression = ExpressionCompiler(jq=None).expression(source)
    try:
        return expression.evaluate(value, {})
    except ExpressionError:
        return FAILED


def agree(source: str, value: Any) -> None:
    same(by_closures(source, value), by_jq(source, value), f"{source} on {value!r}")


def agree_on_pattern(name: str, pattern: str, value: Any) -> None:
    source = f"{name}({json.dumps(pattern)})"
    real = by_jq(f"{name}($pattern)", value, pattern)
    same(by_closures(source, value), real, f"{source} on {value!r}")


def same(ours: Any, real: Any, what: str) -> None:
    assert json.dumps(ours) == json.dumps(real) or ours == real, what


@pytest.mark.parametrize("name", ["gmtime", "localtime", "mktime", "todate", "todateiso8601", "fromdate"])
@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(TIMES)
def test_dates_are_those_of_jq(name: str, value: Any) -> None:
    agree(name, value)


@pytest.mark.parametrize("name", ["strftime", "strflocaltime"])
@settings(max_examples=600, deadline=None, derandomize=True, database=None)
@given(formats(WRITTEN), st.one_of(st.integers(-(6 * 10**10), 2 * 10**11), TIMES))
def test_dates_are_written_as_by_jq(name: str, pattern: str, value: Any) -> None:
    agree_on_pattern(name, pattern, value)


@settings(max_examples=600, deadline=None, derandomize=True, database=None)
@given(formats(READ), st.integers(-(6 * 10**10), 2 * 10**11))
def test_dates_are_read_as_by_jq(pattern: str, seconds: int) -> None:
    text = by_jq("strftime($pattern)", seconds, pattern)
    agree_on_pattern("strptime", pattern, text)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("%Y-%m-%dT%H:%M:%SZ", "2015-03-05T23:51:47Z"),
        ("%Y-%m-%dT%H:%M:%SZ", "2015-3-5T3:1:7Z"),
        ("%Y-%m-%dT%H:%M:%SZ", " 2015-03-05T23:51:47Z\n"),
        ("%Y-%m-%dT%H:%M:%SZ", "2015-03-05T23:51:47Zx"),
        ("%Y-%m-%dT%H:%M:%SZ", "2015-02-31T24:00:00Z"),
        ("%Y-%m-%dT%H:%M:%SZ", "2015-02-31T23:59:61Z"),
        ("%Y-%m-%dT%H:%M:%S%z", "2015-03-05T23:51:47+02:00"),
        ("%Y-%m-%dT%H:%M:%S%z", "2015-03-05T23:51:47-0230"),
        ("%Y-%m-%dT%H:%M:%S%z", "2015-03-05T23:51:47+02"),
        ("%Y-%m-%dT%H:%M:%S%z", "2015-03-05T23:51:47+02:6"),
        ("%Y-%m-%dT%H:%M:%S%z", "2015-03-05T23:51:47+0260"),
        ("%Y-%m-%dT%H:%M:%S%z", "2015-03-05T23:51:47Z"),
        ("%a, %d %b %Y %H:%M:%S %Z", "Thu, 05 Mar 2015 23:51:47 GMT"),
        ("%A, %B %d, %Y", "thursday, MARCH 05, 2015"),
        ("%I:%M %p", "12:30 am"),
        ("%I:%M %p", "11:30 PM"),
        ("%p %H", "PM 11"),
        ("%j %Y", "60 2016"),
        ("%j", "17"),
        ("%d/%m/%y", "05/03/68"),
        ("%d/%m/%y", "05/03/69"),
        ("%Y%m%d", "20150305"),
        ("%H%M", "1234"),
        ("%H:%M", "10:20"),
        ("%Y", "2015 x"),
        ("%Y-%m", "2015-07"),
        ("%d", "31"),
        ("%m", "2"),
        ("%Y", "0005"),
        ("%Y", ""),
        ("", ""),
        ("", "x"),
        ("%e %k:%l", " 5  7: 8"),
        ("%n%Y%t%m", "  2015 \t 03"),
    ],
)
def test_texts_are_read_as_by_jq(pattern: str, text: str) -> None:
    agree(f"strptime({json.dumps(pattern)})", text)


@pytest.mark.parametrize(
    "source",
    [
        'strftime("%5Y")',
        'strftime("%-d")',
        'strftime("%Q")',
        'strftime("%")',
        "strftime(.f)",
        'strptime("%s")',
    ],
)
def test_other_formats_stay_with_jq(compiler: ExpressionCompiler, source: str) -> None:
    assert compiler.expression(source).guarded


def test_d13_a_date_leaves_the_digits_of_an_integer_beside_it() -> None:
    expression = ExpressionCompiler(jq=None).expression('{id, day: (now | strftime("%F"))}')
    assert not expression.guarded
    result = expression.evaluate({"id": 9007199254740993123}, {NOW: 1425599621.5})
    assert result == {"id": 9007199254740993123, "day": "2015-03-05"}
    assert expression.variables == {NOW}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("fromdate", "the date does not match the format"),
        ("gmtime", r"gmtime\(\) requires numeric inputs"),
        ("mktime", "mktime requires array inputs"),
        ("todate", "strftime/1 requires parsed datetime inputs"),
        ('["x"] | mktime', "mktime requires parsed datetime inputs"),
        ("1e18 * 1 | gmtime", "error converting number of seconds since epoch to datetime"),
    ],
)
def test_d10_errors_of_dates(source: str, message: str) -> None:
    with pytest.raises(ExpressionError, match=message):
        ExpressionCompiler(jq=None).expression(source).evaluate("a text", {})


def test_an_error_with_a_number_shows_its_digits() -> None:
    with pytest.raises(ExpressionError, match="9007199254740993123"):
        ExpressionCompiler(jq=None).expression("error(.)").evaluate(9007199254740993123, {})
