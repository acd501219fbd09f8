import re
from pathlib import Path
from typing import Any

import pytest

from unspool.definitions.expressions import NOW, ExpressionCompiler, ExpressionError, JqPool, source_problems
from unspool.definitions.expressions.builtins import VALUE_FILTERS, VALUE_FUNCTIONS
from unspool.definitions.expressions.filters import FILTERS
from unspool.definitions.expressions.path_filters import PATH_FILTERS


def problem(source: str, known: frozenset[str] | None = None, jq: JqPool | None = None) -> str | None:
    return next((found.message for found in source_problems(source, known, jq)), None)


def evaluate(compiler: ExpressionCompiler, source: str, value: Any = None, **variables: Any) -> Any:
    return compiler.expression(source).evaluate(value, variables)


@pytest.mark.parametrize(
    ("source", "value", "expected"),
    [
        (".", {"a": 1}, {"a": 1}),
        (".a.b", {"a": {"b": 1}}, 1),
        (".a.b", {}, None),
        ('."a b"[0]', {"a b": [5]}, 5),
        (".[-1:]", [1, 2, 3], [3]),
        ('.colors + ["red"]', {"colors": ["green"]}, ["green", "red"]),
        ('{a, "b": 2, ("c" + .d): 3}', {"a": 1, "d": "d"}, {"a": 1, "b": 2, "cd": 3}),
        ('"Hello \\(.name)\\n"', {"name": "Ann"}, "Hello Ann\n"),
        ('if .n > 3 then "many" elif .n > 1 then "some" else "few" end', {"n": 2}, "some"),
        (
            "[.items[] | select(.price >= 2) | .name]",
            {"items": [{"name": "a", "price": 2}, {"price": 1}]},
            ["a"],
        ),
        (".items | map(.n) | add", {"items": [{"n": 1}, {"n": 2}]}, 3),
        ("[.[] as $x | $x * 2]", [1, 2], [2, 4]),
        ("with_entries(.value += 1)", {"a": 1}, {"a": 2}),
        (".a? // 7", [], 7),
        ("@base64", "é", "w6k="),
        (". as {a: $x} | $x", {"a": 4}, 4),
        (". as $y | {$y: 4}", "abc", {"abc": 4}),
        (". as $y | {$y, z: 4}", "abc", {"y": "abc", "z": 4}),
        ("def double: . * 2; [.[] | double]", [1, 2], [2, 4]),
        ("reduce .[] as $n (0; . + $n)", [1, 2, 3], 6),
        ('test("^a")', "abc", True),
    ],
)
def test_jq_inside_and_outside_the_subset(
    compiler: ExpressionCompiler, source: str, value: Any, expected: Any
) -> None:
    assert evaluate(compiler, source, value) == expected


@pytest.mark.parametrize(
    "number", [2**53 + 1, 9007199254740993123, -9007199254740993123, 2**63 - 1, -(2**63), 2**64 - 1]
)
def test_a_text_of_digits_becomes_the_same_integer(compiler: ExpressionCompiler, number: int) -> None:
    # inventory D13
    assert evaluate(compiler, "map(tonumber)", [str(number)]) == [number]
    source = '{id: (.id | ltrimstr("id-") | tonumber)}'
    assert evaluate(compiler, source, {"id": f"id-{number}"}) == {"id": number}


@pytest.mark.parametrize("text", ["12345678901234567890123", "-12345678901234567890123", str(2**64)])
def test_a_text_of_more_digits_is_an_error_that_names_it(compiler: ExpressionCompiler, text: str) -> None:
    with pytest.raises(ExpressionError, match=rf"integer {text} .*pass it as a string"):
        evaluate(compiler, "tonumber", text)


@pytest.mark.parametrize(
    "source", [".a.b", "$context.n", ".a + 1", "[.[] | length]", 'map(select(.x == "y"))']
)
def test_usual_expressions_never_need_a_child(source: str) -> None:
    assert not ExpressionCompiler(jq=None).expression(source).guarded


def test_d13_integers_stay_exact(compiler: ExpressionCompiler) -> None:
    big = 2**53 + 1
    assert evaluate(compiler, ".id", {"id": big}) == big
    assert evaluate(compiler, "{ids: [.id]}", {"id": big}) == {"ids": [big]}
    assert evaluate(compiler, f". == {big}", big - 1) is False
    assert evaluate(compiler, "tostring", big) == str(big)
    assert evaluate(compiler, "length", -big) == big


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("del(.b)", {"id": 2**53 + 1, "a": {"n": 1}}),
        (".a.n += 1", {"id": 2**53 + 1, "a": {"n": 2}, "b": 5}),
        (".b |= empty | .a //= 0", {"id": 2**53 + 1, "a": {"n": 1}}),
        (".c[1] = .id", {"id": 2**53 + 1, "a": {"n": 1}, "b": 5, "c": [None, 2**53 + 1]}),
        ("pick(.id)", {"id": 2**53 + 1}),
        ('walk(if type == "object" then del(.n, .b) else . end)', {"id": 2**53 + 1, "a": {}}),
        ("[.. | numbers]", [2**53 + 1, 1, 5]),
        ("[paths(numbers)]", [["id"], ["a", "n"], ["b"]]),
    ],
)
def test_d13_changes_keep_the_integers_beside_them(source: str, expected: Any) -> None:
    data = {"id": 2**53 + 1, "a": {"n": 1}, "b": 5}
    expression = ExpressionCompiler(jq=None).expression(source)
    assert expression.evaluate(data, {}) == expected
    assert data == {"id": 2**53 + 1, "a": {"n": 1}, "b": 5}


def test_a_change_does_not_reach_what_an_update_kept() -> None:
    expression = ExpressionCompiler(jq=None).expression("(.a.b, .a, .a.x.c) |= {x: ., y: .}")
    assert expression.evaluate({"a": {"b": 1}}, {})["a"]["y"] == {"b": {"x": 1, "y": 1}}


def test_d13_a_whole_result_is_an_integer(compiler: ExpressionCompiler) -> None:
    result = evaluate(compiler, ".a / .b", {"a": 6, "b": 2})
    assert result == 3
    assert isinstance(result, int)


@pytest.mark.parametrize("text", ["NaN", "nan", "[Infinity]", "1e400", str(2**64), "-" + "9" * 5000])
def test_d13_fromjson_refuses_numbers_that_it_cannot_keep(text: str) -> None:
    with pytest.raises(ExpressionError, match=r"not finite|more than 64 bits|not JSON"):
        ExpressionCompiler(jq=None).expression("fromjson").evaluate(text, {})


def test_d13_fromjson_keeps_integers() -> None:
    text = f'{{"id": [{2**63 + 1}, {-(2**63)}]}}'
    expression = ExpressionCompiler(jq=None).expression("fromjson")
    assert expression.evaluate(text, {}) == {"id": [2**63 + 1, -(2**63)]}


@pytest.mark.parametrize("source", ["-1 | sqrt", "0 | log", "pow(0; -1)", "pow(10; 400)", "1000 | exp"])
@pytest.mark.parametrize("text", ["{}", "[{}]"])
def test_no_mathematical_function_is_infinite(source: str, text: str) -> None:
    expression = ExpressionCompiler(jq=None).expression(text.format(source))
    with pytest.raises(ExpressionError, match="not a finite number"):
        expression.evaluate(None, {})


@pytest.mark.parametrize("source", [".a * .a * .a", "add"])
def test_no_number_is_infinite(compiler: ExpressionCompiler, source: str) -> None:
    expression = compiler.expression(source)
    with pytest.raises(ExpressionError):
        expression.evaluate({"a": 1e200, "b": 1.7e308, "c": 1.7e308}, {})


def test_booleans_are_not_numbers(compiler: ExpressionCompiler) -> None:
    assert evaluate(compiler, "[true == 1, false < 0, (true | type)]") == [False, True, "boolean"]
    with pytest.raises(ExpressionError, match="boolean and number cannot be added"):
        evaluate(compiler, "true + 1")


@pytest.mark.parametrize("source", ["empty", "def f: empty; f", ".[]"])
def test_d11_no_output_is_null(compiler: ExpressionCompiler, source: str) -> None:
    assert compiler.expression(source).evaluate([], {}) is None


@pytest.mark.parametrize("source", ["1, 2", "1, error", "def f: 1, error; f"])
def test_d11_the_first_of_several_outputs_counts(compiler: ExpressionCompiler, source: str) -> None:
    assert evaluate(compiler, source) == 1


def test_e2_variables_that_are_missing_are_null(compiler: ExpressionCompiler) -> None:
    assert evaluate(compiler, "[$context, $input.a, .b]", {"b": 1}) == [None, None, 1]
    assert evaluate(compiler, "def f: $output; [f]") == [None]


def test_e4_variables_by_name(compiler: ExpressionCompiler) -> None:
    expression = compiler.expression("{ ids: [ $input, .id ] }")
    assert expression.variables == {"input"}
    assert expression.evaluate({"id": 2}, {"input": 1, "context": 5}) == {"ids": [1, 2]}


def test_a_variable_bound_inside_is_not_read_from_outside(compiler: ExpressionCompiler) -> None:
    expression = compiler.expression("$x as $y | (1 as $x | $x + $y) + $x")
    assert expression.variables == {"x"}
    assert expression.evaluate(None, {"x": 10, "y": 99}) == 21


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (".a.b", "cannot index number with string"),
        (".a + {}", "number and object cannot be added"),
        (".a / 0", "number and number cannot be divided because the divisor is zero"),
        (".[0]", "cannot index object with number"),
        ("def f: .s - 1; f", "string and number cannot be subtracted"),
        ("def f: .s | tonumber; f", "string cannot be parsed as a number"),
        ('.s.x | sub("a"; "b")', "Cannot index string with string"),
        (".s | fromjson", "the text is not JSON at line 1, column 1"),
        ('error("no such pet")', "no such pet"),
    ],
)
def test_d10_failures_say_why_and_quote_no_data(
    compiler: ExpressionCompiler, source: str, message: str
) -> None:
    with pytest.raises(ExpressionError, match=message) as raised:
        evaluate(compiler, source, {"a": 1, "s": 'hush) and "hush"'})
    assert "hush" not in str(raised.value)


def test_messages_are_short(compiler: ExpressionCompiler) -> None:
    with pytest.raises(ExpressionError) as raised:
        evaluate(compiler, "error(. * 1000)", "long")
    assert len(str(raised.value)) == 512


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("error({id: .})", '(not a string): {"id":9007199254740993}'),
        ("{a: [., true]} | error", '(not a string): {"a":[9007199254740993,true]}'),
        ("error", "(not a string): 9007199254740993"),
        ("error(null)", "(not a string): null"),
        ("try error([.]) catch error({a: 1})", '(not a string): {"a":1}'),
    ],
)
@pytest.mark.parametrize("real", [False, True])
def test_an_error_that_is_not_a_text_shows_its_json(
    compiler: ExpressionCompiler, source: str, message: str, real: bool
) -> None:
    with pytest.raises(ExpressionError) as raised:
        evaluate(compiler, f'("" | test("x") | empty), ({source})' if real else source, 2**53 + 1)
    assert str(raised.value) == message


@pytest.mark.parametrize("source", ["error([range(100000)])", 'error({a: ("x" * 1000000)})'])
def test_the_message_shows_the_start_of_a_large_error(source: str) -> None:
    with pytest.raises(ExpressionError) as raised:
        ExpressionCompiler(jq=None).expression(source).evaluate(None, {})
    assert len(str(raised.value)) == 512
    assert str(raised.value).startswith(("(not a string): [0,1,2,", '(not a string): {"a":"xxx'))


@pytest.mark.parametrize(
    "source", ["", " ", "(", ".a |", "nothing", "1) | (2", ".a}", "'a'", '"\\q"', "\ud800", "1\0"]
)
def test_d10_a_text_that_is_not_jq_does_not_compile(
    compiler: ExpressionCompiler, jq: JqPool, source: str
) -> None:
    with pytest.raises(ExpressionError):
        compiler.expression(source)
    assert problem(source, jq=jq)


def test_problem_names_what_is_wrong(jq: JqPool) -> None:
    assert problem("${ .a + 1 }") is None
    assert problem("def f: 1; f") is None  # not checked without jq
    assert problem("def f: 1; f", jq=jq) is None
    assert "unexpected end of file" in str(problem("def f: 1; f +", jq=jq))
    assert "nothing/0 is not defined" in str(problem("nothing", jq=jq))


def test_an_unknown_variable_hints_at_a_near_one() -> None:
    known = frozenset({"secrets", "context"})
    assert problem(".a + $secret", known) == "$secret is not defined here, did you mean '$secrets'?"
    assert problem("$xyz", known) == "$xyz is not defined here"


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        (".a.b-c", '.a["b-c"]'),
        (".content-kind", '.["content-kind"]'),
        ('"x" + $input.x-request-id', '$input["x-request-id"]'),
    ],
)
def test_a_key_with_a_hyphen_is_suggested(jq: JqPool, source: str, hint: str) -> None:
    message = problem(source, jq=jq)
    assert message is not None
    assert "is not defined" in message
    assert message.endswith(f"did you mean {hint}?")
    assert problem(".a - nothing(1)", jq=jq) not in (None, message)


@pytest.mark.parametrize(
    "name",
    [
        "env",
        "$ENV",
        "input",
        "inputs",
        "input_filename",
        "debug",
        "stderr",
        "halt",
        "halt_error",
        "import",
        "include",
        "get_search_list",
        "modulemeta",
        "$__loc__",
        "input_line_number",
    ],
)
@pytest.mark.parametrize(
    "source", ["{}", "[1, {}]", '"a\\({})"', "{{a: {}}}", "def f: {}; f", ".[{}:2]", "{{({}): 1}}"]
)
def test_d1_forbidden_names_are_named(compiler: ExpressionCompiler, source: str, name: str) -> None:
    with pytest.raises(ExpressionError) as raised:
        compiler.expression(source.format(name))
    assert f"'{name}' is not available" in str(raised.value)


def test_d1_now_is_a_variable_of_the_caller(compiler: ExpressionCompiler) -> None:
    """Replaying gives the same result; local time is UTC."""
    expression = compiler.expression('[now, (now | localtime | mktime), (now | strflocaltime("%H:%M %Z"))]')
    assert expression.variables == {NOW}
    assert expression.evaluate(None, {NOW: 3600.5}) == [3600.5, 3600, "01:00 UTC"]
    plain = ExpressionCompiler(jq=None).expression("{at: now}")
    assert plain.variables == {NOW}
    assert plain.evaluate(None, {NOW: 3600.5}) == {"at": 3600.5}
    assert problem("now", frozenset()) is None
    assert compiler.expression("def now: 7; now").evaluate(None, {NOW: 1}) == 7


@pytest.mark.parametrize(
    "source", [".env", "{env: 1} | .env", "{env, now} | .env", '{"input": 1}', ".a.input?"]
)
def test_members_may_have_any_name(compiler: ExpressionCompiler, source: str) -> None:
    assert not compiler.expression(source).guarded


def test_the_same_source_is_compiled_once(compiler: ExpressionCompiler) -> None:
    assert compiler.expression("${ .a }") is compiler.expression(" .a ")


def test_the_documentation_lists_the_builtins_of_the_subset() -> None:
    page = (Path(__file__).parents[3] / "docs/expressions.md").read_text()
    (block,) = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    for name in block.split():
        builtin, _, arity = name.partition("/")
        call = f"{builtin}({'; '.join(['.'] * int(arity))})" if int(arity or 0) else builtin
        assert not ExpressionCompiler(jq=None).expression(call).guarded
    plain = set(VALUE_FILTERS) | {name for name, arity in FILTERS if not arity} | {"now", "recurse"}
    called = {f"{name}/1" for name in [*VALUE_FUNCTIONS, *PATH_FILTERS]} | {
        f"{name}/{arity}" for name, arity in FILTERS if arity
    }
    several = {name.partition("/")[0] for name in called} & plain
    assert set(block.split()) == {f"{name}/0" if name in several else name for name in plain} | called
