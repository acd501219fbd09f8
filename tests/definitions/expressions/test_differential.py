"""The closures against real jq: generated programs on generated data must give the same, or both fail.

Outputs are compared all together and in order, and once more as text, which shows the order of members and
how numbers are written. `UNSPOOL_EXPRESSION_EXAMPLES` asks for more programs; then they are chosen at random.
"""

import base64
import json
import os
import re
from collections import Counter
from functools import lru_cache
from typing import Any

import jq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unspool.definitions.expressions import ExpressionCompiler, ExpressionError

EXAMPLES = int(os.environ.get("UNSPOOL_EXPRESSION_EXAMPLES", "400"))

SCALARS = st.sampled_from(
    [
        None,
        True,
        False,
        0,
        1,
        2,
        3,
        -1,
        -7,
        10,
        100,
        0.5,
        1.5,
        -2.5,
        2.0,
        "",
        "a",
        "b",
        "ab",
        "abcab",
        "A b",
        "é",
        "😀x",
        "3",
        "1.5",
        " 7 ",
        "a,b,,c",
        '"q"\\',
        "x\x7f\n",
    ]
)
KEYS = st.sampled_from(["a", "b", "c", "key", "value", "name", "é"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)

LITERALS = st.sampled_from(
    [
        "null",
        "true",
        "false",
        "0",
        "1",
        "2",
        "3",
        "-1",
        "10",
        "0.5",
        "1.5",
        "2.0",
        "[]",
        "{}",
        '""',
        '"a"',
        '"b"',
        '"ab"',
        '","',
        '"é"',
        '"\\u00e9\\n"',
        '"\\ud83d\\ude00"',
        "[1,2]",
        '{"a":1}',
        '["a","b"]',
    ]
)
ATOMS = st.sampled_from(
    [".", ".a", ".b", ".c", '."a"', ".[0]", ".[1]", ".[-1]", ".[]", ".[]?", ".a?", ".[0]?"]
)
PLAIN = st.sampled_from(
    [
        "not", "length", "utf8bytelength", "type", "keys", "keys_unsorted", "add", "reverse",
        "tostring", "tojson", "tonumber", "floor", "ceil", "round", "fabs", "abs", "flatten", "first",
        "last", "to_entries", "from_entries", "ascii_downcase", "ascii_upcase", "trim", "ltrim",
        "rtrim", "error", "values", "nulls", "booleans", "numbers", "strings", "arrays", "objects",
        "iterables", "scalars", "sort", "unique", "min", "max", "any", "all", "empty", "@text", "@json",
        "explode", "implode", "toboolean", "trunc", "fromjson", "transpose", "@base64d", "@urid",
        "@base64", "@uri", "@csv", "@tsv", "@html", "@sh",
    ]
)  # fmt: skip
OF_VALUE = st.sampled_from(
    [
        "has", "in", "contains", "inside", "startswith", "endswith", "ltrimstr", "rtrimstr", "trimstr",
        "split", "join", "flatten", "index", "rindex", "indices", "nth", "error", "range",
    ]
)  # fmt: skip
OF_FILTER = st.sampled_from(
    [
        "map", "select", "map_values", "with_entries", "sort_by", "group_by", "unique_by", "min_by",
        "max_by", "any", "all", "first", "last", "isempty", "add", "IN", "INDEX",
    ]
)  # fmt: skip
OPERATORS = st.sampled_from(
    [
        "+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "and", "or", "//",
    ]
)  # fmt: skip


ASSIGNMENTS = st.sampled_from(["=", "|=", "+=", "-=", "*=", "/=", "%=", "//="])
PATHS = st.recursive(
    st.sampled_from(
        [
            ".", ".a", ".b", ".[0]", ".[1]", ".[-1]", ".[]", ".[]?", ".a?", ".[0]?", ".[2]", ".a.b", ".a[]",
            "..", ".[.a]?", ".[1.5]", "first", "last", "empty", "strings", "numbers", "values", "arrays",
        ]
    ),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("({0[0]} | {0[1]})".format),
        st.tuples(inner, inner).map("({0[0]}, {0[1]})".format),
        st.tuples(inner, inner).map("({0[0]} // {0[1]})".format),
        st.tuples(inner, inner, inner).map("(if {0[0]} then {0[1]} else {0[2]} end)".format),
        st.tuples(inner, inner).map("(.a as $x | {0[0]} | {0[1]})".format),
        inner.map("({})?".format),
        inner.map("first({})".format),
        inner.map("limit(2; {})".format),
        st.sampled_from(['getpath(["a"])', 'getpath(["b", 0])', "getpath([])", "getpath(.a)"]),
        inner.map("(.[]? | select({}))".format),
    ),
    max_leaves=3,
)  # fmt: skip
STEPS = st.sampled_from(
    ["[]", '["a"]', '["a", "b"]', "[0]", "[-1]", '["a", 0]', '[0, "a"]', "[1, 1]", "null", "[null]", "[[1]]"]
)


def _with(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    def made(template: str, *parts: st.SearchStrategy[Any]) -> st.SearchStrategy[str]:
        return st.tuples(*parts).map(lambda chosen: template.format(*chosen))

    small = st.sampled_from(["0", "1", "2", "-1", "1.5", ".a", "null", "length", "0,1"])
    return st.one_of(
        made("({} {} {})", inner, OPERATORS, inner),
        made("{} {} {}", ATOMS, OPERATORS, LITERALS),
        made("({} | {})", inner, inner),
        made("{} | {}", ATOMS, PLAIN),
        made("({}, {})", inner, inner),
        made("[{}]", inner),
        made("[.[] | {}]", inner),
        made("{{a: {}, b: {}}}", inner, inner),
        made("{{({}): {}}}", inner, inner),
        made('{{"k\\({})": {}, a}}', inner, inner),
        made("{{a, c: {} | {}}}", ATOMS, inner),
        made("{} as $x | {{$x: {}}}", ATOMS, inner),
        made("{} as $x | {{$x, b: {}}}", ATOMS, inner),
        made('"x\\({})y\\({})"', inner, inner),
        made('@json "v\\({})"', inner),
        made('@sh "v \\({})"', inner),
        made("([{}] | {})", inner, st.sampled_from(["@csv", "@tsv", "@sh"])),
        made("if {} then {} else {} end", inner, inner, inner),
        made("if {} then {} elif {} then {} end", inner, inner, inner, inner),
        made("({})?", inner),
        made("({} // {})", inner, inner),
        made("-{}", st.sampled_from([".a", ".[0]", "$outer", "1.5", "(.b)"])),
        made("{} as $x | {}", ATOMS, inner),
        made("({} as $x | [$x, {}])", inner, inner),
        made("({})[{}]", inner, inner),
        made("({})[{}]?", inner, inner),
        made("({})[{}:{}]", inner, small, small),
        made("({})[{}:]?", inner, small),
        made("({})[]", inner),
        made("({}).a.b", inner),
        made("{}", PLAIN),
        made("({} {} {})", PATHS, ASSIGNMENTS, inner),
        made("{} {} {}", PATHS, ASSIGNMENTS, LITERALS),
        made("{}({})", st.sampled_from(["del", "path", "pick", "paths", "walk"]), PATHS),
        made("del({})", PATHS),
        made("paths({})", inner),
        made("walk({})", inner),
        made("({} | {})", inner, st.sampled_from(["paths", "..", "recurse", "[..]", "[paths]"])),
        made("getpath({})", STEPS),
        made("setpath({}; {})", STEPS, inner),
        made("delpaths([{}, {}])", STEPS, STEPS),
        made("({} | {})", inner, PLAIN),
        made("({} | {}({}))", inner, OF_VALUE, inner),
        made("({} | {}({}))", inner, OF_FILTER, inner),
        made("limit({}; {})", small, inner),
        made("skip({}; {})", small, inner),
        made("range({}; {}; {})", small, small, st.sampled_from(["1", "2", "-1", "0.5", "0", "1,2"])),
        made("reduce ({}) as $x ({}; {})", inner, inner, inner),
        made("reduce ({}) as [$x, $y] ({}; [$x, $y, {}])", inner, inner, inner),
        made("[foreach ({}) as $x ({}; {}; [$x, {}])]", inner, inner, inner, inner),
        made("foreach ({}) as $x ({}; {})", inner, inner, inner),
        made("try {} catch {}", PLAIN, st.sampled_from(["null", "7", '"x"', "[1]", "(1, 2)"])),
        made("(try ({}) catch [$outer])", inner),
        made("(try ({}) | {})", inner, inner),
        made("(label $l | {}, (if {} then break $l else {} end))", inner, inner, inner),
        made("(def f: {}; def g(h): [h, f]; g({}))", inner, inner),
        made("(def f($x; y): ({} | [$x, y]); f({}; {}))", inner, inner, inner),
        made('({} as {{a: $x, $b, "c": [$y]}} | [$x, $b, $y, {}])', ATOMS, inner),
        made("[limit(9; recurse({}))]", inner),
        made("[limit(9; recurse({}; {}))]", inner, inner),
        made("[limit(9; recurse(.[]? as $x | ($x, $x | select(. != [])) | $x))]"),
        made('[limit(9; while(type == "array"; {}))]', inner),
        made('[limit(3; until(type != "array"; .[]))]'),
        made("[limit(3; repeat(({}), 1))]", inner),
        made("nth({}; {})", small, inner),
        made("range({}; {})", small, small),
        made("IN({}; {})", inner, inner),
        made("INDEX({}; {})", inner, inner),
        made("({} | numbers | fabs | {})", inner, st.sampled_from(["sqrt", "pow(.; 2)", "pow(.; 0.5)"])),
        made("({} | numbers | fabs + 1 | {})", inner, st.sampled_from(["log", "log2", "log10"])),
        made("any({}; {})", inner, inner),
        made("all({}; {})", inner, inner),
        st.just("$outer"),
        made("$outer | {}", inner),
    )


PROGRAMS = st.recursive(st.one_of(LITERALS, ATOMS, PLAIN), _with, max_leaves=6)


@lru_cache(maxsize=8)
def compiled(source: str) -> Any:
    return jq.compile(f". as $w | $w.outer as $outer | $w.value | {source}")


def by_jq(source: str, values: list[Any], outer: Any) -> list[Any]:
    """Returns the result for each value: a list of one, or None for an error."""
    try:
        program = compiled(source)
    except ValueError:
        return [None for _ in values]
    results: list[Any] = []
    for value in values:
        try:
            outputs = iter(program.input_text(json.dumps({"value": value, "outer": outer})))
            results.append([next(outputs, None)])
        except ValueError:
            results.append(None)
    return results


def by_closures(source: str, values: list[Any], outer: Any) -> list[Any] | None:
    try:
        expression = ExpressionCompiler(jq=None).expression(source)
    except ExpressionError as error:
        assert "needs jq" in str(error)  # outside the subset, which is no difference
        return None
    results: list[Any] = []
    for value in values:
        try:
            results.append([expression.evaluate(value, {"outer": outer})])
        except ExpressionError:
            results.append(None)
    return results


def canonical(value: Any) -> str:
    """Returns JSON in which 1 and 1.0 are the same and true is neither."""

    def whole(value: Any) -> Any:
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if isinstance(value, list):
            return [whole(item) for item in value]
        return {name: whole(item) for name, item in value.items()} if isinstance(value, dict) else value

    return json.dumps(whole(value), sort_keys=True)


@pytest.mark.timeout(900)  # it calculates for some seconds, and a busy machine may have no time for it
def test_the_closures_and_jq_agree() -> None:
    seen: Counter[str] = Counter()

    @settings(
        max_examples=EXAMPLES,
        derandomize="UNSPOOL_EXPRESSION_EXAMPLES" not in os.environ,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(PROGRAMS, st.lists(VALUES, min_size=4, max_size=4), VALUES)
    def compare(program: str, values: list[Any], outer: Any) -> None:
        for source in (program, f"[{program}] | [., tojson]"):
            ours = by_closures(source, values, outer)
            if ours is None:
                seen["outside"] += 1
                continue
            for value, one, other in zip(values, ours, by_jq(source, values, outer), strict=True):
                assert canonical(one) == canonical(other), f"{source} on {value!r} with $outer = {outer!r}"
                seen["failed" if one is None else "agreed"] += 1

    compare()

    assert seen["agreed"] > 2 * EXAMPLES
    assert seen["failed"] > EXAMPLES / 2
    assert seen["outside"] < EXAMPLES / 10


WORDS = st.sampled_from(
    [
        "null", "true", "false", "0", "-0", "1", "-12", "+3", "01", "-007", ".5", "5.", "1.50", "-.5",
        "1e2", "1E-2",
        "[", "]", "{", "}", ",", ":", '"', '"a"', '"a":', " ", "\n", "\t", "\\", "\\n", "\\q",
        "\\u0041", "\\ud83d",
        "\\ude00", '"\\ud83d\\ude00"', '"\\ud83d"', '"\x01"', "\x7f", "\xa0", "é", "\ufeff", "'a'",
        "truex", "nul", "--1",
        "1-", "1.2.3", "0x10", "#", "/",
    ]
)  # fmt: skip
MADE_OF_WORDS = st.lists(WORDS, max_size=6).map("".join)
JSON_TEXTS = st.one_of(
    MADE_OF_WORDS,
    VALUES.map(json.dumps),
    st.tuples(VALUES.map(json.dumps), st.integers(0, 40), MADE_OF_WORDS).map(
        lambda drawn: drawn[0][: drawn[1]] + drawn[2] + drawn[0][drawn[1] :]
    ),
)
BYTES = st.lists(
    st.sampled_from(
        [b"a", b"\x80", b"\xbf", b"\xc1", b"\xc3", b"\xe0", b"\xe2", b"\xed\xa0",
         b"\xf0", b"\xf4\x90", b"\xff"]
    ),
    max_size=8,
).map(b"".join)  # fmt: skip
ENCODED = st.one_of(
    BYTES.map(lambda data: base64.b64encode(data).decode()),
    BYTES.map(lambda data: "".join(f"%{byte:02x}" for byte in data)),
    st.text("Aa0+/=%2é -_", max_size=9),
)


@pytest.mark.timeout(900)
def test_texts_are_parsed_and_decoded_as_in_jq() -> None:
    @settings(
        max_examples=EXAMPLES // 4,  # each has thirty texts
        derandomize="UNSPOOL_EXPRESSION_EXAMPLES" not in os.environ,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(JSON_TEXTS, min_size=20, max_size=20), st.lists(ENCODED, min_size=10, max_size=10))
    def compare(texts: list[str], encoded: list[str]) -> None:
        texts = [text for text in texts if not re.search("[0-9]{15}|[eE][+-]?[0-9]{3}", text)]
        for source, values in (("fromjson", texts), ("@base64d", encoded), ("@urid", encoded)):
            ours = by_closures(source, values, None)
            assert ours is not None
            for value, one, other in zip(values, ours, by_jq(source, values, None), strict=True):
                assert canonical(one) == canonical(other), f"{source} on {value!r}"

    compare()
