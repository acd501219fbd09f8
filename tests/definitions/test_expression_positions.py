"""Positions of errors in expressions are those of the file (inventory D10, U5)."""

import json
import time
from functools import partial

import pytest

from unspool.definitions.checks import check
from unspool.definitions.document import load
from unspool.definitions.expressions import JqPool, source_problems
from unspool.definitions.problems import Problem

HEAD = "document: {dsl: '1.0.3', namespace: test, name: w, version: 1.0.0}\ndo:\n- a:\n    set:\n"


def found_in(text: str, jq: JqPool) -> tuple[Problem, ...]:
    return check(load(text), expression_problems=partial(source_problems, jq=jq))


def place_of(text: str, token: str) -> tuple[int, int]:
    before = text[: text.rindex(token)]
    return before.count("\n") + 1, len(before) - before.rfind("\n")


@pytest.mark.parametrize(
    "written",
    [
        'x: ${ "é" + $typo }',
        "x: a ${ .b } c ${ [$typo] }",
        "x: &anchor !!str   ${ $typo }",
        "x: ${ .a\n        + $typo }",
        "x: '${ \"it''s\" + $typo }'",
        "x: '${ .a\n\n        + $typo }'",
        'x: "\\t${ \\"\\u00e9\\x41\\" + $typo }"',
        'x: "${ .a +   \\\n        $typo }"',
        "x: |\n        ${\n          .a\n\n          | $typo\n        }",
        "x: |2-\n         ${ .a\n           + $typo }",
        "x: >\n        ${ .a\n        + .b\n\n          + .c\n          + .d\n        | $typo }",
        "x: >-  # a comment\n\n        ${ .a +\n\n\n        $typo }",
        "x: '${ . as $typo | 1 } ${ (1 as $typo | $typo), {a: [$typo]} }'",
        'x: ${ "a \\(.b + $typo) c" }',
        "x: '${ def f: 1; \"é\" | f + $typo }'",
        "x: |\n        ${ def f: 1;\n           f + $typo }",
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_an_unknown_variable_has_its_position_in_the_file(written: str, newline: str, jq: JqPool) -> None:
    text = HEAD + "      " + written + "\n- b:\n    wait: PT1S\n"
    (problem,) = found_in(text.replace("\n", newline), jq)
    assert problem.message == "$typo is not defined here"
    assert (problem.line, problem.column) == place_of(text, "$typo")


@pytest.mark.parametrize(
    ("expression", "token", "says"),
    [
        (".a + ~", "~", "unexpected character"),
        (".a + env", "env", "'env' is not available: expressions do not see the process they run in"),
        ('"a\\q"', "\\q", "bad string"),
        (".a | nothing(1)", "nothing", "nothing/1 is not defined"),
        (".a | limit(1 2)", "2", "syntax error, unexpected LITERAL"),
        (".first.last-name", "name", 'name/0 is not defined, did you mean .first["last-name"]?'),
    ],
)
def test_other_errors_have_their_position_too(expression: str, token: str, says: str, jq: JqPool) -> None:
    text = f"{HEAD}      x: '${{ {expression} }}'\n"
    (problem,) = found_in(text, jq)
    assert (problem.line, problem.column) == place_of(text, token)
    assert problem.message.startswith(says)


def test_positions_in_json(jq: JqPool) -> None:
    head = '{"document": {"dsl": "1.0.3", "namespace": "t", "name": "w", "version": "1.0.0"},\n'
    text = head + '"do": [{"a": {"set": {"x": ' + json.dumps('😀 é "\t" ${ $typo }') + "}}}]}"
    assert "\\ud83d" in text
    (problem,) = found_in(text, jq)
    assert (problem.line, problem.column) == place_of(text, "$typo")


def test_an_error_in_an_alias_has_the_position_of_the_alias(jq: JqPool) -> None:
    text = HEAD + "      x: &x ${ $typo }\n      y: *x\n"
    first, second = found_in(text, jq)
    assert (first.line, first.column) == place_of(text, "$typo")
    assert (second.line, second.column) == place_of(text, "*x")


@pytest.mark.parametrize("guarded", ["", "def f: 1; f | "])
def test_all_unknown_variables_are_reported_with_the_nearest_name(guarded: str, jq: JqPool) -> None:
    text = f"{HEAD}      x: '${{ {guarded}$secret + $imput + $secret }}'\n"
    first, second = found_in(text, jq)
    assert first.message == "$secret is not defined here, did you mean '$secrets'?"
    assert second.message == "$imput is not defined here, did you mean '$input'?"
    assert second.column == place_of(text, "$imput")[1] > first.column


def test_an_unknown_secret_has_its_position(jq: JqPool) -> None:
    text = HEAD + "      x: '${ .a + $secrets.token }'\n"
    (problem,) = found_in(text, jq)
    assert (problem.line, problem.column) == place_of(text, "$secrets")


def test_an_expression_reports_a_limited_number_of_unknown_variables(jq: JqPool) -> None:
    names = [f"$v{number}" for number in range(2000)]
    text = f"{HEAD}      x: '${{ [{','.join(names)}] }}'\n"
    started = time.process_time()
    found = found_in(text, jq)
    line = text.splitlines()[4]
    assert [problem.column for problem in found] == [line.index(f"{name},") + 1 for name in names[:20]]
    assert time.process_time() - started < 1
