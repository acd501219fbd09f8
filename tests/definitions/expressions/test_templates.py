from typing import Any

import pytest

from unspool.definitions.expressions import ExpressionCompiler, ExpressionError, JqPool
from unspool.definitions.expressions.template import Part, is_whole, split

HOSTILE = '${ $secrets } \\(1) ${ "a" }'


def fill(compiler: ExpressionCompiler, value: Any, data: Any = None, **variables: Any) -> Any:
    return compiler.template(value).evaluate(data, variables)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", [("", False)]),
        ("plain", [("plain", False)]),
        ("${ .a }", [(" .a ", True)]),
        ("  ${ .a\n | .b }\n", [(" .a\n | .b ", True)]),
        ("Hello ${ .a }!", [("Hello ", False), (" .a ", True), ("!", False)]),
        ("${ .a } and ${ .b }", [(" .a ", True), (" and ", False), (" .b ", True)]),
        ('${ "a}b" + ( {x:1} | tostring) }', [(' "a}b" + ( {x:1} | tostring) ', True)]),
        ('x${ "\\(.a | "}" )}" }y', [("x", False), (' "\\(.a | "}" )}" ', True), ("y", False)]),
        ('x${ "\\"}" }', [("x", False), (' "\\"}" ', True)]),
        ("${ {a: {b: 1}} }", [(" {a: {b: 1}} ", True)]),
        ("5 ${ open", [("5 ${ open", False)]),
        ("$ {a} {b} $c", [("$ {a} {b} $c", False)]),
        ("${}", [("${}", False)]),
    ],
)
def test_d8_a_text_is_split_at_balanced_braces(text: str, parts: list[tuple[str, bool]]) -> None:
    assert split(text) == tuple(Part(*part) for part in parts)


def test_d8_a_comment_may_hide_the_closing_brace() -> None:
    assert split("${ .a # it's \"quoted }") == (Part(" .a # it's \"quoted ", expression=True),)


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("${ .a }", True),
        (" ${.a}\n", True),
        ("${ .a\n}", True),
        (".a", False),
        ("a ${ .a }", False),
        ("${ .a } ${ .b }", False),
        ("${}", False),
    ],
)
def test_d3_whole(text: str, whole: bool) -> None:
    assert is_whole(text) is whole


@pytest.mark.parametrize(
    ("text", "expressions"),
    [
        ("echo ${HOME} ${ .name }", [" .name "]),
        ("${HOME}", []),
        ("echo ${NAME:-none} ${FILE%.txt} ${.a}", [".a"]),
        ("echo ${ .a }", [" .a "]),
        ("${ .command }", [" .command "]),
    ],
)
def test_d7_in_a_command_the_shell_keeps_its_parameters(text: str, expressions: list[str]) -> None:
    parts = split(text, shell_parameters=True)
    assert [part.source for part in parts if part.expression] == expressions


def test_d7_a_command_is_filled(compiler: ExpressionCompiler) -> None:
    command = compiler.shell_command("echo ${HOME} ${ .name } ${#X}")
    assert command.evaluate({"name": "Ann"}, {}) == "echo ${HOME} Ann ${#X}"


def test_d4_typed_fields_take_both_spellings(compiler: ExpressionCompiler) -> None:
    for source in (".a", "${ .a }", "${.a}", " ${ .a }\n"):
        assert compiler.expression(source).evaluate({"a": 5}, {}) == 5


def test_d5_strict_values_need_the_braces(compiler: ExpressionCompiler) -> None:
    template = compiler.template({"customer": ".customer"})
    assert template.constant
    assert template.evaluate({"customer": 1}, {}) == {"customer": ".customer"}


def test_d6_structures_are_walked_and_keys_are_not_expressions(compiler: ExpressionCompiler) -> None:
    template = compiler.template({"${ .a }": ["${ .a }", {"b": "${ $x }"}, 3, "c"]})
    assert not template.constant
    assert template.variables == {"x"}
    assert template.evaluate({"a": [1]}, {"x": None}) == {"${ .a }": [[1], {"b": None}, 3, "c"]}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "<a>"),
        (1, "<1>"),
        (2.5, "<2.5>"),
        (None, "<null>"),
        (True, "<true>"),
        ({"a": [1, "b"]}, '<{"a":[1,"b"]}>'),
    ],
)
def test_d7_interpolation_writes_as_tostring_does(
    compiler: ExpressionCompiler, value: Any, text: str
) -> None:
    assert fill(compiler, "<${ .v }>", {"v": value}) == text
    assert fill(compiler, "${ .v }", {"v": value}) == value


def test_a_template_knows_what_needs_a_child(compiler: ExpressionCompiler) -> None:
    assert compiler.template({"a": ['x ${ test("a") }']}).guarded
    assert not compiler.template({"a": ["x ${ .a }"]}).guarded


@pytest.mark.parametrize("mode", ["strict", "loose"])
def test_d9_nothing_in_data_is_evaluated(jq: JqPool, mode: Any) -> None:
    compiler = ExpressionCompiler(jq=jq, mode=mode)
    data = {"x": HOSTILE, "list": [HOSTILE], "member": {HOSTILE: HOSTILE}}
    secrets = {"secrets": {"password": "hunter2"}}
    template = compiler.template(
        {"a": "${ .x }", "b": "${ .list }", "c": "- ${ .x } ${ .x }", "d": "${ . }", "e": "${ def f: .x; f }"}
    )
    assert template.evaluate(data, secrets) == {
        "a": HOSTILE,
        "b": [HOSTILE],
        "c": f"- {HOSTILE} {HOSTILE}",
        "d": data,
        "e": HOSTILE,
    }
    assert compiler.template("${ .x }").evaluate({"x": ".y", "y": 1}, secrets) == ".y"


@pytest.mark.parametrize(
    ("text", "result"),
    [
        (".a", 5),
        ("${ .a }", 5),
        ("a is ${ .a }", "a is 5"),
        ("hello world", "hello world"),
        ("hello", "hello"),
        (".a.b", ".a.b"),
        ("${ .a.b }", "${ .a.b }"),
        ("${ ( }", "${ ( }"),
        ("env", "env"),
        (".a | def f: . + 1; f", 6),
        ("", ""),
        ("[.a, 1]", [5, 1]),
    ],
)
def test_d2_loose_mode_tries_every_string(jq: JqPool, text: str, result: Any) -> None:
    assert fill(ExpressionCompiler(jq=jq, mode="loose"), {"v": text}, {"a": 5}) == {"v": result}


def test_strict_mode_reports_what_does_not_compile(compiler: ExpressionCompiler) -> None:
    with pytest.raises(ExpressionError):
        compiler.template({"a": ["${ ( }"]})
    with pytest.raises(ExpressionError):
        compiler.text("x ${ env } y")


def test_the_expressions_of_a_template_share_one_budget(compiler: ExpressionCompiler) -> None:
    heavy = "${ [range(100000)] | length }"
    assert compiler.template([heavy]).evaluate(None, {}) == [100000]
    with pytest.raises(ExpressionError, match="limit exceeded"):
        compiler.template([heavy] * 100).evaluate(None, {})


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("${\n.q # closes the {a} block }\n}", 7),
        ('${ .q # it\'s 5" wide\n | tostring + "}" }', "7}"),
        ("<${ .q # }\n }>", "<7>"),
        ("# ${ .q }", "# 7"),
    ],
)
def test_d8_braces_and_quotes_in_comments_do_not_count(
    compiler: ExpressionCompiler, text: str, result: Any
) -> None:
    assert fill(compiler, {"v": text}, {"q": 7}) == {"v": result}
