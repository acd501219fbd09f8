"""Integers beyond 2^53 in expressions that need real jq: their own digits, or an error (inventory D13)."""

import json
import random
from fractions import Fraction
from typing import Any

import jq as real_jq
import pytest

from unspool.definitions.expressions import EvaluationError, ExpressionCompiler, JqPool

BIG = 9007199254740993123
OTHER = 9007199254740993


def evaluate(jq: JqPool, source: str, value: Any = None) -> Any:
    expression = ExpressionCompiler(jq=jq).expression(f'("" | test("x") | empty), ({source})')
    assert expression.guarded
    return expression.evaluate(value, {"big": BIG})


def written(value: Any) -> str:
    """Returns a text of the value, in which an integer and a double differ."""
    return json.dumps(value)


KEPT: list[tuple[str, Any, Any]] = [
    (".", BIG, BIG),
    ("{id: .id, n: (.n + 1)}", {"id": BIG, "n": 1}, {"id": BIG, "n": 2}),
    (".n += 1", {"id": BIG, "n": 1}, {"id": BIG, "n": 2}),
    (".n |= . * 2", {"id": BIG, "n": 4}, {"id": BIG, "n": 8}),
    ("map({id, n: (.n - 1)})", [{"id": BIG, "n": 1}], [{"id": BIG, "n": 0}]),
    ('"order-" + (.id | tostring)', {"id": BIG}, f"order-{BIG}"),
    ('"\\(.)" + "!"', BIG, f"{BIG}!"),
    ("[.[] | tostring] | join(\"-\")", [BIG, OTHER], f"{BIG}-{OTHER}"),
    ("[., 1] - [1]", BIG, [BIG]),
    ("[.] - [9007199254740993124]", BIG, [BIG]),
    ("[.] + [$big]", OTHER, [OTHER, BIG]),
    ("{a: .} + {b: 1}", BIG, {"a": BIG, "b": 1}),
    ("{a: {b: .}} * {a: {c: (1 + 1)}}", BIG, {"a": {"b": BIG, "c": 2}}),
    ("null + .", BIG, BIG),
    (". + null", BIG, BIG),
    ("[.] | add", BIG, BIG),
    ("[[.], [1]] | add", BIG, [BIG, 1]),
    ("[{a: .}, {b: 1}] | add", BIG, {"a": BIG, "b": 1}),
    ("reduce .[] as $id ({}; .[$id | tostring] += 1)", [BIG, BIG], {str(BIG): 2}),
    ("-. | -.", BIG, BIG),
    ("[floor, ceil, round, trunc, rint, nearbyint, fabs, abs, length]", BIG, [BIG] * 9),
    ("[floor, ceil, round, trunc, rint, nearbyint]", -BIG, [-BIG] * 6),
    ("[fabs, abs, length]", -BIG, [BIG] * 3),
    ("[., 9007199254740993124, 1 + 1] | sort", BIG, [2, BIG, BIG + 1]),
    ("[., 9007199254740993124, .] | unique | [length + 0, .]", BIG, [2, [BIG, BIG + 1]]),
    ("[., 9007199254740993124] | [min, max, 1 + 1]", BIG, [BIG, BIG + 1, 2]),
    ("[{k: .}, {k: 9007199254740993124}] | group_by(.k) | map(length + 0)", BIG, [1, 1]),
    ("[{k: .}] | min_by(.k).k, (1 + 1)", BIG, BIG),
    ("if . > 9007199254740993122 and 1 + 1 == 2 then . else 0 end", BIG, BIG),
    (". == 9007199254740993124 or 1 + 1 == 3", BIG, False),
    ("9007199254740993 == 9007199254740992", None, False),
    ('@text "\\(.)" + @json "\\(.)" + @csv "\\([.])" + @sh "\\(.)"', OTHER, f"{OTHER}" * 4),
    ("(tojson | fromjson), (1 + 1)", BIG, BIG),
    ("def f: if type == \"array\" then map(f) else . end; [f, 1 + 1]", [[BIG]], [[[BIG]], 2]),
    ("try error({id: ., n: (1 + 1)}) catch .id", BIG, BIG),
    ("[limit(2; repeat(.))] + []", BIG, [BIG, BIG]),
    ("[[.], [[1 + 1]]] | flatten", BIG, [BIG, 2]),
    ("9007199254740993.0", None, OTHER),
    ("9007199254740993e0", None, OTHER),
    ("9007199254740993.5e3", None, 9007199254740993500),
    ("[range(3)]", BIG, [0, 1, 2]),
    (". % 10", 9007199254740991, 1),
    (". - 1", 2**53, 2**53 - 1),
    ("9007199254740992 - 1", None, 2**53 - 1),
    (". + 0.5", 7, 7.5),
    ("0.1 + 0.2", None, 0.1 + 0.2),
    ("1e300 * 10", None, 1e301),
    (".[0] * .[1]", [10**12, 10**12], 1e24),
    ("infinite + 1 > 5", None, True),
    (". * 1e9 | floor | . > 0", 1764384967.25, True),
]  # fmt: skip


@pytest.mark.parametrize(("source", "value", "expected"), KEPT)
def test_digits_are_kept(jq: JqPool, source: str, value: Any, expected: Any) -> None:
    assert written(evaluate(jq, source, value)) == written(expected)


@pytest.mark.parametrize(
    ("source", "value", "number"),
    [
        (". + 0", BIG, BIG),
        ("0 + .", BIG, BIG),
        ("$big + 0", 1, BIG),
        (". - 1", BIG, BIG),
        ("1 - .", -BIG, -BIG),
        (". * 1", BIG, BIG),
        (". / 1", BIG, BIG),
        (". % 10", BIG, BIG),
        (". % 10", OTHER, OTHER),
        (".id += 1", {"id": BIG}, BIG),
        (".id *= 2", {"id": BIG}, BIG),
        (".[] |= . + 1", [1, BIG], BIG),
        ("add", [BIG, 1], BIG),
        ("add(.[] | . )", [BIG, 1], BIG),
        ("reduce .[] as $n (0; . + $n)", [1, BIG], BIG),
        ("[range(.; . + 2)]", BIG, BIG),
        ("[limit(1; range(.; 0; -1))]", BIG, BIG),
        ('"\\(. + 1)"', BIG, BIG),
        ('@text "\\(. - 1)"', BIG, BIG),
        ("{(. + 1 | tostring): 1} | keys", BIG, BIG),
        ("sort_by(. + 1)", [BIG, 1], BIG),
        ("group_by(. % 2)", [BIG], BIG),
        ("map(select(. % 2 == 1))", [BIG], BIG),
        ("pow(.; 1)", BIG, BIG),
        ("fmin(.; 5)", BIG, BIG),
        ("fma(.; 1; 0)", BIG, BIG),
        ("modf", BIG, BIG),
        ("todate", BIG, BIG),
        ('strftime("%s")', BIG, BIG),
        ("9007199254740993 + 0", None, OTHER),
        ("9007199254740993.0 + 0", None, "9007199254740993.0"),
        ("9007199254740993e0 + 0", None, OTHER),
        ("1e17 + 1", None, "1E+17"),
        ("12345678901234567890123 + 0", None, "12345678901234567890123"),
        ("(\"9007199\" + \"254740993\" | tonumber) - 1 | . % 10", None, OTHER),
    ],
)  # fmt: skip
def test_arithmetic_with_an_integer_beyond_2_53_names_it(
    jq: JqPool, source: str, value: Any, number: Any
) -> None:
    with pytest.raises(
        EvaluationError, match=rf"arithmetic with {number}, .*pass ids as strings".replace("+", r"\+")
    ):
        evaluate(jq, source, value)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        (". + 1", 2**53),
        ("9007199254740991 + 1", None),
        ("3002399751580331 * 3", None),
        ("123456789 * 987654321", None),
        (".[0] * .[1] % 1000", [123456789, 987654321]),
        (".[0] * .[1] == 121932631112635260", [123456789, 987654321]),
        ("add", [999999999999999] * 10),
        ("pow(3; 40)", None),
        ("fma(123456789; 987654321; 1)", None),
        ("mktime", [300000000, 0, 1, 0, 0, 0, 0, 0]),
        ("reduce range(85) as $i ([0, 1]; [.[1], .[0] + .[1]]) | .[0]", 1),
        ("def f($n): if $n > 1 then f($n - 1) + f($n - 2) else $n + 6e15 end; f(3)", 1),
    ],
)  # fmt: skip
def test_a_result_beyond_2_53_is_an_error(jq: JqPool, source: str, value: Any) -> None:
    with pytest.raises(EvaluationError, match=r"arithmetic (gives about|with) [0-9]+, which is beyond 2\^53"):
        evaluate(jq, source, value)


@pytest.mark.parametrize(
    "source", ["9007199254740993.5", '"9007199254740993.5" | tonumber', "1.2345678901234567890123e25"]
)
def test_a_number_that_a_double_would_change_is_an_error(jq: JqPool, source: str) -> None:
    with pytest.raises(EvaluationError, match="cannot be kept exact; pass it as a string"):
        evaluate(jq, source)


def test_an_author_can_catch_the_error(jq: JqPool) -> None:
    assert evaluate(jq, "(. + 1)? // 7", BIG) == 7
    assert str(BIG) in evaluate(jq, "try (. + 1) catch .", BIG)


def test_results_are_exact_or_errors(jq: JqPool) -> None:
    """Random operands around the powers of two where doubles and 64 bits end."""
    numbers = random.Random(11)
    operations = {
        "+": Fraction.__add__,
        "-": Fraction.__sub__,
        "*": Fraction.__mul__,
        "%": lambda left, right: Fraction((1 if left > 0 else -1) * (abs(left) % abs(right))),
    }
    exact = 0
    for _ in range(1500):
        left = numbers.choice((1, -1)) * (
            2 ** numbers.choice((3, 26, 51, 52, 53, 62)) + numbers.randint(-3, 3)
        )
        right = numbers.choice((1, 2, 3, -1, 10, 2**27 + 1, 2**53 - 1, OTHER, 2**62 + 1))
        symbol = numbers.choice(list(operations))
        try:
            result = evaluate(jq, f".[0] {symbol} .[1]", [left, right])
        except EvaluationError as error:
            assert "beyond 2^53" in str(error)
            continue
        truth = operations[symbol](Fraction(left), Fraction(right))
        if type(result) is int:
            assert result == truth, (left, symbol, right)
            exact += 1
        else:
            assert abs(truth) > 2**64
    assert exact > 400


@pytest.mark.parametrize(
    "source",
    [
        "[(1, 2) + (10, 20)], [(1, 2) - (10, 20)], [(4, 6) / (1, 2)], [(1, 2) * (3, 4)], [(7, 8) % (2, 3)]",
        '"a" + "b", "ab" * 2, ("a,b" / ","), ([1, 2] + [3]), ([1, 2] - [2]), ({a: 1} * {a: {b: 2}})',
        "(null + 1), (1 + null), (null + null), -(1), 0 * -1, (1 / 4), (7 % -2), (-7 % 2), (5.9 % 2)",
        "[range(3)], [range(1; 3)], [range(0; 1; 0.3)], [range(3; 0; -2)], [range(0, 1; 3, 4)]",
        "add([1, 2] | .[]), ([] | add), ([1.5, 2] | add), (add(empty))",
        "[1.5, -1.5, 2.5 | floor, ceil, round, trunc, rint, nearbyint, fabs], pow(2; 0.5), fma(2; 3; 4)",
        "[frexp, modf, significand, cbrt, logb], fmin(.; 2), fmax(.; 2), fmod(.; 2), ldexp(.; 3)",
        '(0 | todate), (0 | gmtime | mktime), (0 | strftime("%F")), (1.5 | gmtime), (0 | localtime)',
        "(. as [$a] ?// $a | $a + 1), hypot(.; 4)",
        "(try (1 / 0) catch .), (try ([] - 1) catch .), (try (floor | {} + .) catch .)",
        "{a: 1} | .a += 1 | .a -= 3 | .a *= 4 | .a /= 3 | .a %= 2",
        "1000000000000000 / 10, 1e3 + 1, 1.50 + 1, .5 + 1",
    ],
)
def test_all_else_is_as_in_jq(jq: JqPool, source: str) -> None:
    """The exact form runs because of `1e2`."""
    program = f"[{source}, (1e2 | . * 1)]"
    expected = real_jq.compile(program).input_value(3).first()
    assert written(evaluate(jq, program, 3)) == written(expected)
