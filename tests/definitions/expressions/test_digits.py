"""Integers beyond 2^53 in arithmetic: exact, or an error (inventory D13)."""

import json
import random
from fractions import Fraction
from typing import Any

import jq
import pytest

from unspool.definitions.expressions import EvaluationError, ExpressionCompiler

BIG = 2**53 + 1


def evaluate(source: str, value: Any = None) -> Any:
    return ExpressionCompiler(jq=None).expression(source).evaluate(value, {})


def exact(value: Any) -> Any:
    """Returns a text of the value, in which an integer and a double differ."""
    return json.dumps(value)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (". + 0", BIG),
        (". + 2.0", BIG + 2),
        (". - 1", BIG - 1),
        ("1 - .", 1 - BIG),
        (". * 3", 3 * BIG),
        (". * 2.0", 2 * BIG),
        (". / 1", BIG),
        (". * 3 / 3", BIG),
        (". % 10", 3),
        ("-. % 10", -3),
        ("10 % .", 10),
        (". % (. - 1)", 1),
        ("-.", -BIG),
        ("[., 1, 1] | add", BIG + 2),
        ("add(., 1)", BIG + 1),
        ("reduce (1, 2) as $n (.; . + $n)", BIG + 3),
        ("[foreach (1, 2) as $n (.; . + $n)]", [BIG + 1, BIG + 3]),
        ("[range(.; . + 3)]", [BIG, BIG + 1, BIG + 2]),
        ("[range(.; . - 5; -2)]", [BIG, BIG - 2, BIG - 4]),
        ("[range(2; .; . - 3)]", [2, BIG - 1]),
        ("{n: .} | .n += 1 | .n -= 3 | .n", BIG - 2),
        ("[limit(2; repeat(. + 1))]", [BIG + 1, BIG + 1]),
        ("[., .] | map(. + 1)", [BIG + 1, BIG + 1]),
        ("until(. > 9007199254740995; . + 1)", BIG + 3),
        ("[floor, ceil, round, trunc, fabs, abs]", [BIG] * 6),
        ("-. | [floor, ceil, round, trunc, fabs, abs]", [-BIG] * 4 + [BIG] * 2),
        ("pow(.; 1)", BIG),
        ("pow(.; 0)", 1),
        ("pow(3; 40)", 3**40),
        ("pow(-3; 39)", -(3**39)),
        ("[., 9007199254740992] | [min, max, .[0] == .[1]]", [BIG - 1, BIG, False]),
        ('"\\(. + 1)"', str(BIG + 1)),
        ("(. + 1) | tojson", str(BIG + 1)),
        ("gmtime | mktime", BIG),
    ],
)
def test_arithmetic_keeps_every_digit(source: str, expected: Any) -> None:
    assert exact(evaluate(source, BIG)) == exact(expected)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("9007199254740992 + 1", 2**53 + 1),
        ("9007199254740991 + 2", 2**53 + 1),
        ("-9007199254740992 - 1", -(2**53) - 1),
        ("123456789 * 987654321", 123456789 * 987654321),
        ("1764384967123 * 4194304 + 77", 1764384967123 * 2**22 + 77),
        ("18446744073709551615 - 1", 2**64 - 2),
        ("[range(18446744073709551613; 18446744073709551615; 9)]", [2**64 - 3]),
    ],
)
def test_so_does_arithmetic_that_passes_2_53(source: str, expected: Any) -> None:
    assert exact(evaluate(source)) == exact(expected)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        (". + 1", 2**64 - 1),
        (". - 1", -(2**63)),
        ("-.", 2**64 - 1),
        (". * 10000", BIG),
        (". * 1e30", BIG),
        ("./-1", 2**64 - 1),
        ("pow(.; 2)", BIG),
        ("[range(.; . + 1)]", 2**64 - 1),
        ("[., .] | add", 2**63),
        (". * 1.5", BIG),
        (". + 0.5", BIG),
        ("0.5 - .", BIG),
        (". / 2", BIG),
        (". / 3", 10**18),
        ("{a: .} | .a *= 1.1", BIG),
    ],
)
def test_a_result_that_cannot_be_exact_is_an_error_that_names_the_integer(source: str, value: int) -> None:
    with pytest.raises(EvaluationError, match=f"integer {value} .*pass ids as strings"):
        evaluate(source, value)


@pytest.mark.parametrize(
    ("source", "value", "expected"),
    [
        (". / 1000000", 1764384967123456789, 1764384967123.4568),
        (". / 1000000 | floor", 1764384967123456789, 1764384967123),
        (". / 1000000000 | todate", 1764384967123456789, "2025-11-29T02:56:07Z"),
        (". * 0.001", 1764384967123456789, 1764384967123456.8),
        ("1 / .", BIG, 1 / BIG),
        ("sqrt", BIG, 94906265.62425156),
    ],
)  # fmt: skip
def test_a_result_with_a_fraction_is_the_nearest_double(source: str, value: int, expected: Any) -> None:
    assert exact(evaluate(source, value)) == exact(expected)


@pytest.mark.parametrize(
    "source",
    [
        "1000000000000 * 1000000000000",
        "-1000000000000 * 10000000000",
        "pow(10; 30)",
        "0 * -1 | tojson",
        "0 / -5 | tojson",
        "[7 / 2, 8 / 2, 7 % -2, -7 % 2, 1 - 1.5, 0.1 + 0.2, 3 * 0.1]",
        "[range(0.5; 3)], [range(1; 2.5)], [range(3; 0; -1.5)]",
        "[1.5, -1.5, 2.5, 7 | floor, ceil, round, trunc, fabs, abs]",
        '("", "ab") * (0, 0.5, 1.7)',
        '"" * 9007199254740993',
    ],
)
def test_numbers_up_to_2_53_are_those_of_jq(source: str) -> None:
    real = jq.compile(f"[{source}] | tojson").input_value(None).first()
    assert evaluate(f"[{source}] | tojson") == real


def test_every_integer_result_is_exact() -> None:
    """Random operands around the powers of two where doubles and 64 bits end."""
    random_numbers = random.Random(7)
    operations = {
        "+": Fraction.__add__,
        "-": Fraction.__sub__,
        "*": Fraction.__mul__,
        "/": Fraction.__truediv__,
    }
    checked = 0
    for _ in range(4000):
        bits = random_numbers.choice((3, 20, 32, 52, 53, 54, 63, 64))
        left, right = (
            random_numbers.choice((1, -1)) * (2**bits + random_numbers.randint(-3, 3)),
            random_numbers.choice((1, 2, 3, -1, 10, 2**11, 2**53 - 1, 2**62 + 1, BIG)),
        )
        if not -(2**63) <= left < 2**64:
            continue
        symbol = random_numbers.choice(list(operations))
        truth = operations[symbol](Fraction(left), Fraction(right))
        try:
            result = evaluate(f".[0] {symbol} .[1]", [left, right])
        except EvaluationError:
            assert abs(left) > 2**53 or abs(right) > 2**53
            assert truth.denominator > 1 or not -(2**63) <= truth < 2**64
            continue
        if type(result) is int:
            assert result == truth
            checked += 1
        else:
            assert truth.denominator > 1 or not -(2**63) <= truth < 2**64
            assert result == float(truth)
            assert not result.is_integer() or abs(result) >= 2**63
    assert checked > 1500


@pytest.mark.parametrize(
    "codes",
    [
        [-1, 65],
        [0xD7FF, 0xD800, 0xDFFF, 0xE000, 0xFFFF],
        [0x10FFFF, 0x110000],
        [2**31, 2**32 + 65, BIG, 2**63, 2**64 - 1, -(2**63)],
        [65.9, -0.5, 1e300],
        ["a"],
        [None],
        [True],
        "a",
    ],
)
def test_implode_treats_invalid_code_points_as_jq_does(codes: Any) -> None:
    try:
        real = jq.compile("implode | tojson").input_value(codes).first()
    except ValueError:
        with pytest.raises(EvaluationError):
            evaluate("implode", codes)
    else:
        assert evaluate("implode | tojson", codes) == real


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("9007199254740993123.0", 9007199254740993123),
        ("-9007199254740993.000", -9007199254740993),
        ("1.2345678901234567890e19", 12345678901234567890),
        ("1.5e3", 1500.0),
        ("0.1234567890123456789", 0.12345678901234568),
        ("1e30", 1e30),
        ("-1.7976931348623157e308", -1.7976931348623157e308),
    ],
)
def test_a_text_with_a_point_or_an_exponent_keeps_its_digits(text: str, expected: Any) -> None:
    assert exact(evaluate("tonumber", text)) == exact(expected)
    assert exact(evaluate("fromjson", f"[{text}]")) == exact([expected])


@pytest.mark.parametrize(
    "text", ["9007199254740993.5", "12345678901234567890123e0", "18446744073709551617.0"]
)
@pytest.mark.parametrize("source", ["tonumber", "fromjson"])
def test_a_text_whose_digits_would_change_is_an_error(source: str, text: str) -> None:
    with pytest.raises(EvaluationError, match=rf"number {text} cannot be kept exact; pass it as a string"):
        evaluate(source, text)
