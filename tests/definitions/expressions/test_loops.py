"""Loops, errors and functions in closures."""

from typing import Any

import pytest

from unspool.definitions.expressions import ExpressionCompiler

BIG = 9007199254740993123


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("reduce .ids[] as $id ({}; . + {last: $id})", {"last": BIG}),
        ("[foreach .ids[] as $id (0; . + 1; [., $id])]", [[1, 1], [2, BIG]]),
        ("def both(f): [f, f]; both(.ids[1])", [BIG, BIG]),
        ("def pair($a; $b): {$a, $b}; pair(.ids[]; 1)", {"a": 1, "b": 1}),
        ("def f(g): 5 as $x | g; 1 as $x | f($x)", 1),
        (". as {ids: [$a, $b]} | [$b, $a]", [BIG, 1]),
        ("try error(.ids) catch 7", 7),
        ("[label $out | .ids[] | ., break $out]", [1]),
        ('[.ids | recurse(if type == "array" then .[] else empty end)]', [[1, BIG], 1, BIG]),
        ("[1 | while(. < 20; . * 2)]", [1, 2, 4, 8, 16]),
        ("{n: 1, id: .ids[1]} | until(.n > 50; .n *= 2)", {"n": 64, "id": BIG}),
        ("[range(10; 0; -3)]", [10, 7, 4, 1]),
        ("[[1, [2]] | recurse(.[]? as $x | ($x, $x))] | length", 9),
    ],
)
def test_d13_loops_pass_integers_on(source: str, expected: Any) -> None:
    expression = ExpressionCompiler(jq=None).expression(source)
    assert expression.evaluate({"ids": [1, BIG]}, {}) == expected


@pytest.mark.parametrize(
    "source",
    [
        "def f: f; f",
        "try error catch .",
        ". as [$a] ?// $a | $a",
        "break $out",
        "while(.a?; .)",
        "def f: 1; 2 | g",
    ],
)
def test_expressions_that_need_real_jq(source: str) -> None:
    with pytest.raises(Exception, match="needs jq"):
        ExpressionCompiler(jq=None).expression(source)


def test_functions_that_double_do_not_grow_without_bound() -> None:
    functions = "".join(f"def f{at + 1}: [f{at}, f{at}]; " for at in range(40))
    with pytest.raises(Exception, match="needs jq"):
        ExpressionCompiler(jq=None).expression(f"def f0: 1; {functions} f40")
