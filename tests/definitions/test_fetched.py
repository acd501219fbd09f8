"""Texts of external resources: for each answer of a server, the result is a function, a schema or a cause."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unspool.definitions.expressions import JqPool
from unspool.definitions.fetched import compile_fetched
from unspool.definitions.plan import FetchedFunction, FetchedSchema, Unusable

FUNCTION, SCHEMA = "function https://example.com/f.yaml?key=hidden", "schema https://example.com/s.json"

MEMBERS = [
    "call",
    "set",
    "run",
    "do",
    "for",
    "in",
    "each",
    "try",
    "catch",
    "retry",
    "errors",
    "switch",
    "when",
    "then",
    "listen",
    "to",
    "any",
    "one",
    "emit",
    "event",
    "raise",
    "error",
    "wait",
    "fork",
    "branches",
    "with",
    "input",
    "output",
    "export",
    "schema",
    "resource",
    "endpoint",
    "uri",
    "authentication",
    "from",
    "as",
    "if",
    "timeout",
    "after",
    "metadata",
    "unspool",
    "concurrency",
    "shell",
    "command",
    "type",
    "properties",
    "items",
    "$ref",
    "$schema",
    "allOf",
    "pattern",
]
VALUES = [None, True, 0, 1.5, "", "x", "http", "continue", "${ .a }", "${ .a[ }", "${", "PT1S", "#", 10**30]

texts = st.recursive(
    st.sampled_from(VALUES),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=4)
    ),
    max_leaves=20,
).map(json.dumps)


@settings(max_examples=300, deadline=None)
@given(text=texts, key=st.sampled_from([FUNCTION, SCHEMA]))
def test_every_text_has_a_result(jq: JqPool, text: str, key: str) -> None:
    assert isinstance(compile_fetched(key, text, jq), FetchedFunction | FetchedSchema | Unusable)


@pytest.mark.parametrize(
    "text",
    [
        "call: {a: {}}",
        "do: [{a: {call: {a: {}}}}]",
        "listen: {to: {one: {with: {type: a}}}}",
        "do: []\nuse: {}",
        "{",
        "set: 1\nset: 2",
        "x" * 2_000_000,
    ],
)
def test_odd_texts_are_unusable_or_functions(jq: JqPool, text: str) -> None:
    result = compile_fetched(FUNCTION, text, jq)
    if isinstance(result, Unusable):
        assert result.cause.startswith("https://example.com/f.yaml:")
        assert "hidden" not in result.cause


def tasks(count: int) -> str:
    return json.dumps({"do": [{f"t{n}": {"set": {"n": n}}} for n in range(count)]})


def expressions(count: int) -> str:
    return json.dumps({"if": ".a", "set": {f"v{n}": f"${{ .v{n} }}" for n in range(count - 1)}})


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (tasks(1_000), "a function has more than 1000 tasks"),
        (expressions(501), "a function has more than 500 expressions"),
        (json.dumps({"set": {"text": "x" * 300_000}}), "a function is larger than 262144 bytes"),
    ],
    ids=["tasks", "expressions", "bytes"],
)
def test_a_function_of_much_work_is_refused(jq: JqPool, text: str, cause: str) -> None:
    """All tenants share the thread that compiles fetched texts."""
    assert compile_fetched(FUNCTION, text, jq) == Unusable(f"https://example.com/f.yaml: {cause}")


def test_a_function_at_the_limits_is_compiled(jq: JqPool) -> None:
    for text in (tasks(999), expressions(500)):
        assert isinstance(compile_fetched(FUNCTION, text, jq), FetchedFunction)


def test_a_function_has_the_pointers_of_its_address(jq: JqPool) -> None:
    text = "do: [{a: {set: {n: 1}}}]"
    function = compile_fetched("function https://example.com/f.yaml", text, jq)
    assert isinstance(function, FetchedFunction)
    assert function.pointer == "/use/functions/https:~1~1example.com~1f.yaml"
    assert set(function.tasks) == {function.pointer, f"{function.pointer}/do/0/a"}


def test_only_the_first_problems_are_named(jq: JqPool) -> None:
    text = "do:\n" + "".join(f"  - t{n}: {{sett: 1}}\n" for n in range(10))
    result = compile_fetched(FUNCTION, text, jq)
    assert isinstance(result, Unusable)
    assert result.cause.startswith("https://example.com/f.yaml:2:")
    assert result.cause.endswith("and 7 more problems")
