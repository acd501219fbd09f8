"""Hostile expressions and data that try to exhaust time or memory, or to crash the process."""

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from unspool.definitions.expressions import ExpressionCompiler, ExpressionError, JqPool, json_size

DATA = {
    "a": list(range(30_000)),
    "s": "x" * 200_000,
    "o": {str(number): number for number in range(20_000)},
}


def piped(part: str, times: int = 60) -> str:
    return " | ".join([part] * times)


IN_THE_SUBSET = {
    "doubling a string": ".s | " + piped(". + ."),
    "doubling an array": ".a | " + piped(". + ."),
    "doubling by sharing": piped("[., .]"),
    "doubling by sharing, nested": piped("{a: ., b: [.]}"),
    "doubling by binding": piped(". as $x | [$x, $x]"),
    "doubling, then written": piped("[., .]") + " | tojson",
    "doubling, then interpolated": piped("[., .]") + ' | "\\(.)"',
    "doubling, then compared": f"({piped('[., .]')}) == ({piped('[., .]')})",
    "doubling, then sorted": piped("[., .]") + " | sort",
    "doubling, then flattened": piped("[., .]") + " | flatten | length",
    "doubling outputs": "[" + piped("(., .)") + "] | length",
    "deep": piped("[.]", 99) + " | [" + piped("[.]", 99) + " | [" + piped("[.]", 99) + "]]",
    "repeating a string": '"ab" * 1000000000',
    "repeating repeated": '"ab" * 1000000 | . * 1000 | length',
    "interpolating": '"' + r"\(.s)" * 2000 + '"',
    "a cartesian product": "[.a[] as $x | .a[] | $x + .] | length",
    "a product by commas": "[" + " + ".join(["(1, 2)"] * 60) + "] | length",
    "a product in objects": "[{" + ", ".join(f"k{at}: (1, 2)" for at in range(40)) + "}] | length",
    "a range": "[range(1000000000000)]",
    "a range searched": "first(range(1000000000000) | select(. < 0))",
    "a range asked": "any(range(1000000000000); . < 0)",
    "ranges of ranges": "[range(1000000) | range(1000000)] | length",
    "copies of an array": ".a as $a | [.a[] | $a + [1]] | length",
    "copies of a string": ".s as $s | [.a[] | $s + .s? // $s | ascii_upcase] | length",
    "copies of an object": ".o as $o | [.a[] | $o + {a: 1}] | length",
    "merging": ".o as $o | [.a[] | $o * $o] | length",
    "keys": ".o as $o | [.a[] | $o | keys] | length",
    "entries": ".o as $o | [.a[] | $o | with_entries(.)] | length",
    "writing": ". as $all | [.a[] | $all | tojson] | length",
    "searching": ".s as $s | [.a[] | $s | indices(\"x\")] | length",
    "containment": ".a as $a | [.a[] | $a | contains([99999])] | length",
    "joining": '.s / "" | join(.[0] * 100) | split("") | join("-----") | length',
    "adding": ". as $all | .a | map($all.s) | add | length",
    "subtracting": ".a as $a | [.a[] | $a - [1]] | length",
    "sorting by much": ".a as $a | .a | sort_by($a) | length",
    "grouping by much": ". as $all | .a | group_by($all.o) | length",
    "recursion into shared values": piped("[., .]") + " | [..] | length",
    "paths of shared values": piped("[., .]") + " | [paths] | length",
    "walking shared values": piped("[., .]") + " | walk(.)",
    "changing everything": piped("[., .]") + " | del(..)",
    "a huge index": ".x[1000000000] = 1",
    "copies by assignment": ". as $all | [.a[] | $all | .a[0] = 1] | length",
    "copies by update": "[.a[] as $n | .o | .x |= $n] | length",
    "deleting from the front": "del(.a[range(30000)]) | [range(10000000)]",
    "an optional bomb": "([range(1000000000000)])?",
    "an alternative bomb": "[range(1000000000000)] // 1",
}  # fmt: skip

IN_THE_SUBSET |= {
    "endless": "last(repeat(1))",
    "endless recursion": "last(recurse(.))",
    "growing recursion": "last(null | recurse([., .]))",
    "wide recursion": "[recurse(., .)] | length",
    "until": "until(false; .)",
    "while": "last(while(true; .))",
    "a range by nothing that ends": '[range(0; "a"; 1)]',
    "a reduction": "reduce range(1000000000) as $i (0; . + $i)",
    "reductions in reductions": "reduce .a[] as $i (0; reduce range(30000) as $j (.; . + 1))",
    "a reduction that doubles": 'reduce range(40) as $i ("a"; . + .)',
    "a reduction that nests": "reduce range(100000) as $i (null; [.])",
    "a foreach": "last(foreach range(1000000000) as $i (0; . + 1))",
    "functions of functions": "def f: .[]; def g(h): [.[] | h | h]; .a as $a | [.a[] | [[$a]] | g(f)]",
    "parsing": '.s as $s | [.a[] | "[" + $s[1:] + "]" | fromjson?] | length',
    "parsing what was parsed": '"[" + ([range(20000) | "1"] | join(",")) + "]" | [repeat(fromjson)]',
    "code points": ".s as $s | [.a[] | $s | explode | implode] | length",
    "decoding": ".s as $s | [.a[] | $s | @base64d] | length",
    "decoding quotes": '"\\"\\\\\\"" * 400000 | [repeat(fromjson?)]',
    "transposing": "[.a, .a] as $rows | [.a[] | $rows | transpose] | length",
    "an index": ". as $all | [.a[] | INDEX($all.a[]; .)] | length",
    "a label": "label $out | repeat(if . == 1 then break $out else empty end)",
    "skipping": "skip(1000000000; repeat(1))",
}

FOR_JQ = {
    "recursion": "def f: f; f",
    "deep recursion": "def f: 1 + f; f",
    "endless": "last(repeat(1))",
    "until": "until(false; .)",
    "an array of everything": "[limit(1e9; repeat(1))]",
    "doubling": 'reduce range(40) as $i ("a"; . + .)',
    "a huge array": "def f: setpath([536870911]; 1); null | f",
    "a deep result": "reduce range(100000) as $i (null; [.])",
    "a large result": "[.s, .s, .s, .s, .s, .s] | def f: .; f",
    "a slow pattern": '[range(100) | ("a" * 40 + "b") | test("(a+)+$")]',
    "what has no optional": "(def f: f; f)?",
}  # fmt: skip


@pytest.mark.parametrize("name", IN_THE_SUBSET)
def test_closures_end_soon(name: str) -> None:
    expression = ExpressionCompiler(jq=None).expression(IN_THE_SUBSET[name])
    variables = {"outer": DATA}
    begun = time.process_time()
    with pytest.raises(ExpressionError, match="limit exceeded"):
        json_size(expression.evaluate(DATA, variables))
    assert time.process_time() - begun < 10.0, "without the limit it takes minutes"


@pytest.mark.parametrize("name", FOR_JQ)
def test_guarded_expressions_end_soon_and_the_next_ones_work(
    jq: JqPool, compiler: ExpressionCompiler, name: str
) -> None:
    # a regular expression keeps it outside the subset
    expression = compiler.expression(f'({FOR_JQ[name]}) | ., ("a" | test("b"))')
    jq.run(".", None, {})
    assert expression.guarded
    begun = time.perf_counter()
    with pytest.raises(ExpressionError):
        expression.evaluate(DATA, {})
    assert time.perf_counter() - begun < 60
    assert [jq.run(". + 1", number, {}) for number in range(4)] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("source", "value"),
    [("(" * 8000 + "1" + ")" * 8000, 1), ("1" + "+1" * 8000, 8001), ("1" + ",1" * 8000, 1)],
    ids=["parentheses", "a sum", "alternatives"],
)
def test_a_long_source_is_evaluated(compiler: ExpressionCompiler, source: str, value: Any) -> None:
    assert compiler.expression(source).evaluate(DATA, {}) == value


@pytest.fixture
def compiler_with_time() -> Iterator[ExpressionCompiler]:
    """It has a long time limit: jq needs a while to refuse a source, mostly on a busy machine."""
    with JqPool(size=1, seconds=30.0) as jq:
        yield ExpressionCompiler(jq=jq)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("[" * 8000 + "]" * 8000, "too large or too deep"),
        ("-" * 16000 + "1", "memory exhausted"),
        (".a" * 8000, "Cannot index array with string"),
        ("." + "|." * 8000, "memory exhausted"),
        ('"' + '\\("' * 3000 + '")' * 3000 + '"', "strings are nested too deeply"),
        ("{" * 16000, "unexpected '{'"),
        ("if . then " * 1600 + "1" + " end" * 1600, "longer than 16384 bytes"),
        ("1" + " // 1" * 2400, "too long"),
    ],
    ids=["arrays", "signs", "fields", "pipes", "strings", "braces", "branches", "defaults"],
)
def test_a_source_that_is_too_deep_or_long_is_refused(
    compiler_with_time: ExpressionCompiler, source: str, says: str
) -> None:
    with pytest.raises(ExpressionError, match=re.escape(says)):
        compiler_with_time.expression(source).evaluate(DATA, {})


@pytest.mark.parametrize(
    "template", ["${ tojson }", "${ . == [.] }", "${ sort }", "${ [.] | flatten }", "<${ . }>"]
)
def test_deep_data_is_refused(template: str) -> None:
    deep: Any = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(ExpressionError, match="nested too deeply"):
        ExpressionCompiler(jq=None).template(template).evaluate(deep, {})


def test_the_length_of_a_source_is_limited(compiler: ExpressionCompiler) -> None:
    with pytest.raises(ExpressionError, match="longer than 16384 bytes"):
        compiler.expression('"' + "x" * 16_384 + '"')
