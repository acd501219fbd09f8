"""Compiles everything in a definition that may contain runtime expressions."""

from typing import Literal

from unspool.definitions.expressions.errors import ExpressionError, OutsideSubset
from unspool.definitions.expressions.expression import (
    ClosureExpression,
    Expression,
    GuardedExpression,
    JqRunner,
)
from unspool.definitions.expressions.hints import hyphenated_key
from unspool.definitions.expressions.lexer import tokenize, variables
from unspool.definitions.expressions.parser import parse
from unspool.definitions.expressions.template import Part, Template, split
from unspool.definitions.json_value import Json

Mode = Literal["strict", "loose"]


class ExpressionCompiler:
    """Compiles expressions, each once: the same source gives the same object."""

    def __init__(self, *, jq: JqRunner | None, mode: Mode = "strict") -> None:
        """Takes `evaluate.mode`, and what runs expressions outside the subset (None: they do not compile)."""
        self.loose = mode == "loose"
        """Whether a text that does not compile or fails as an expression is a plain text."""
        self._jq = jq
        self._compiled: dict[str, Expression] = {}

    def expression(self, source: str) -> Expression:
        """Compiles a field that is an expression by its type, with or without `${ }` (inventory D4).

        Raises:
            ExpressionError: it is not valid jq, is too long, or uses a name that authors cannot use.
        """
        return self._compile(_unwrapped(source))

    def template(self, value: Json) -> Template:
        """Compiles a value whose strings may hold `${ }`; in loose mode any may be one (inventory D2, D5).

        Keys are not expressions. Raises `ExpressionError`.
        """
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            items = [self.template(item) for item in value]
            return Template.of_constant(value) if _all_constant(items) else Template.of_array(items)
        if isinstance(value, dict):
            members = {name: self.template(member) for name, member in value.items()}
            constant = _all_constant(list(members.values()))
            return Template.of_constant(value) if constant else Template.of_object(members)
        return Template.of_constant(value)

    def text(self, value: str) -> Template:
        """Compiles a string that may hold `${ }`. Raises `ExpressionError`."""
        if not self.loose:
            return self._strict(split(value), value)
        parts = split(value)
        if len(parts) == 1:
            parts = (Part(parts[0].source, expression=True),)
        try:
            return self._strict(parts, value).or_else(value)
        except ExpressionError:
            return Template.of_constant(value)

    def shell_command(self, text: str) -> Template:
        """Compiles a command; `${NAME}` in it is for the shell (inventory D7). Raises `ExpressionError`."""
        return self._strict(split(text, shell_parameters=True), text)

    def _strict(self, parts: tuple[Part, ...], text: str) -> Template:
        if not any(part.expression for part in parts):
            return Template.of_constant(text)
        if len(parts) == 1:
            return Template.of_expression(self._compile(parts[0].source.strip()))
        return Template.of_text(
            [self._compile(part.source.strip()) if part.expression else part.source for part in parts]
        )

    def _compile(self, source: str) -> Expression:
        expression = self._compiled.get(source)
        if expression is None:
            expression = self._compiled[source] = _compile(source, self._jq)
        return expression


def _unwrapped(source: str) -> str:
    parts = split(source)
    whole = len(parts) == 1 and parts[0].expression
    return (parts[0].source if whole else source).strip()


def _all_constant(templates: list[Template]) -> bool:
    return all(template.constant for template in templates)


def _compile(source: str, jq: JqRunner | None) -> Expression:
    closures = closures_of(source)
    if closures is not None:
        return closures
    if jq is None:
        raise ExpressionError("the expression needs jq, which is not available here")
    wrong = _checked(source, jq)
    if wrong is not None:
        raise ExpressionError(wrong)
    return GuardedExpression(source, variables(tokenize(source)), jq)


def _checked(source: str, jq: JqRunner) -> str | None:
    wrong = jq.check(source)
    return None if wrong is None else wrong + hyphenated_key(tokenize(source), wrong)


def closures_of(source: str) -> ClosureExpression | None:
    """Compiles an expression to closures. Returns None if it is outside the subset.

    Raises:
        ExpressionError: it is empty, too long, not jq, or uses a name that authors cannot use.
    """
    tokens = tokenize(source)
    if not tokens:
        raise ExpressionError("the expression is empty")
    try:
        return ClosureExpression.compile(source, parse(tokens))
    except (OutsideSubset, RecursionError):
        return None
