"""Errors of expressions name the place of the expression and its text."""

from unspool.definitions.expression_places import described
from unspool.definitions.expressions import EvaluationError

TASK = "/do/1/x"
DEFINITION = {
    "input": {"from": "${ .a }"},
    "set": {"b/c": ["text ${ .b } and ${ .a }"], "d": " .d "},
    "use": {"e": "${ .e }"},
    "do": [{"inside": {"if": "${ .f }"}}],
}
TASKS = {TASK, f"{TASK}/do/0/inside"}


def text_of(source: str | None) -> str:
    error = EvaluationError("it failed")
    error.source = source
    return described(error, TASK, DEFINITION, TASKS)


def test_an_expression_of_a_property_and_in_a_text() -> None:
    assert text_of(".b") == "it failed (/do/1/x/set/b~1c/0: ${ .b })"


def test_a_bare_expression() -> None:
    assert text_of(".d") == "it failed (/do/1/x/set/d: ${ .d })"


def test_all_places_of_an_expression() -> None:
    assert text_of(".a") == "it failed (/do/1/x/input/from or /do/1/x/set/b~1c/0: ${ .a })"


def test_tasks_inside_and_reusable_components_are_not_searched() -> None:
    assert text_of(".f") == "it failed (${ .f })"
    assert text_of(".e") == "it failed (${ .e })"


def test_a_long_expression_is_shortened_to_one_line() -> None:
    text = text_of("." + "\n | ." * 100)
    assert text.startswith("it failed (${ . | . | .")
    assert text.endswith("... })")
    assert len(text) < 110


def test_an_error_without_an_expression_is_unchanged() -> None:
    assert text_of(None) == "it failed"
