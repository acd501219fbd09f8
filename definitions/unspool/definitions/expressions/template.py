"""Strings and structures with `${ … }` in them.

Only the text of the definition is read as expressions; results are always plain values (inventory D9).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from unspool.definitions.expressions.errors import ExpressionError, LimitExceeded
from unspool.definitions.expressions.expression import Budget, Expression
from unspool.definitions.expressions.json_text import to_string
from unspool.definitions.json_value import Json

Fill = Callable[[Json, Mapping[str, Json], Budget], Json]


class Part(NamedTuple):
    """A piece of a string: literal text, or the source of one `${ … }`."""

    source: str
    expression: bool


_WHOLE: Final = re.compile(r"\s*\$\{(.+)\}\s*", re.DOTALL)
_SHELL_PARAMETER: Final = re.compile(r"\$\{[A-Za-z_#!][^\s{}]*\}", re.ASCII)


def is_whole(text: str) -> bool:
    """Whether a text is one `${ … }` from end to end (inventory D3)."""
    return _inside_whole(text) is not None


def split(text: str, *, shell_parameters: bool = False) -> tuple[Part, ...]:
    """Splits a text into literals and expressions (inventory D6 to D8).

    Args:
        text: as written in the definition.
        shell_parameters: `${NAME…}` without a space inside belongs to the shell and stays literal.
    """
    if not (shell_parameters and _SHELL_PARAMETER.fullmatch(text.strip())):
        inner = _inside_whole(text)
        if inner is not None:
            return (Part(inner, expression=True),)
    parts: list[Part] = []
    literal_from = at = 0
    while (start := text.find("${", at)) >= 0:
        at = start + 2
        if shell_parameters and (parameter := _SHELL_PARAMETER.match(text, start)):
            at = parameter.end()
        elif (end := _closing_brace(text, at)) is not None and text[at:end].strip():
            if start > literal_from:
                parts.append(Part(text[literal_from:start], expression=False))
            parts.append(Part(text[at:end], expression=True))
            literal_from = at = end + 1
    if literal_from < len(text) or not parts:
        parts.append(Part(text[literal_from:], expression=False))
    return tuple(parts)


def unclosed(text: str) -> int | None:
    """Returns where a `${` is that no brace closes; None if there is none."""
    if is_whole(text):
        return None
    at = 0
    while (start := text.find("${", at)) >= 0:
        end = _closing_brace(text, start + 2)
        if end is None:
            return start
        at = end + 1
    return None


def _inside_whole(text: str) -> str | None:
    match = _WHOLE.fullmatch(text)
    if match is None or not match[1].strip():
        return None
    end = _closing_brace(text, match.start(1))
    # A brace that jq does not count (in a comment, say) can hide the end; the last one closes it then.
    return match[1] if end is None or end == match.end(1) else None


_BRACES: Final = re.compile(r'[{}"]|#[^\n]*')
_IN_STRING: Final = re.compile(r'"|\\\(|\\.', re.DOTALL)
_IN_INTERPOLATION: Final = re.compile(r'[()"]|#[^\n]*')


def _closing_brace(text: str, at: int) -> int | None:
    """Returns the position of the brace that closes an expression; None if there is none. Skips strings."""
    open_braces = 1
    while match := _BRACES.search(text, at):
        at = match.end()
        if match[0] == '"':
            end = _string_end(text, at)
            if end is None:
                return None
            at = end
            continue
        if match[0][0] == "#":  # a comment
            continue
        open_braces += 1 if match[0] == "{" else -1
        if not open_braces:
            return match.start()
    return None


def _string_end(text: str, at: int) -> int | None:
    """Returns the position after a string, whose interpolations may hold strings; None without an end."""
    open_parentheses: list[int] = []
    while match := (_IN_INTERPOLATION if open_parentheses and open_parentheses[-1] else _IN_STRING).search(
        text, at
    ):
        at = match.end()
        match match[0]:
            case "(":
                open_parentheses[-1] += 1
            case ")":
                open_parentheses[-1] -= 1
                if not open_parentheses[-1]:
                    open_parentheses.pop()
            case "\\(":
                open_parentheses.append(1)
            case '"' if open_parentheses and open_parentheses[-1]:
                open_parentheses.append(0)
            case '"':
                if not open_parentheses:
                    return at
                open_parentheses.pop()
            case _:  # an escaped character
                pass
    return None


_NO_VARIABLES: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Template:
    """A value with expressions in it, compiled: immutable, thread-safe."""

    constant: bool
    """Whether it has no expressions; its value is then always the same object."""
    variables: frozenset[str]
    guarded: bool
    fill: Fill
    """Evaluates as `evaluate` does, within a given budget."""

    def evaluate(self, value: Json, variables: Mapping[str, Json]) -> Json:
        """Returns the value with all expressions evaluated. They share one budget.

        Raises:
            ExpressionError: one of them fails.
        """
        return self.fill(value, variables, Budget())

    def evaluate_within(self, value: Json, variables: Mapping[str, Json], budget: Budget) -> Json:
        """Evaluates as `evaluate` does, within a budget that other templates share."""
        return self.fill(value, variables, budget)

    @classmethod
    def of_constant(cls, constant: Json) -> "Template":
        """Returns the template of a value without expressions."""
        return cls(True, _NO_VARIABLES, False, lambda _value, _variables, _budget: constant)

    @classmethod
    def of_expression(cls, expression: Expression) -> "Template":
        """Returns the template of an expression."""
        return cls(False, expression.variables, expression.guarded, expression.evaluate_within)

    @classmethod
    def of_array(cls, items: "list[Template]") -> "Template":
        """Returns the template of an array; not all items are constant."""
        fills = tuple(item.fill for item in items)
        return cls._of(
            items, lambda value, variables, budget: [fill(value, variables, budget) for fill in fills]
        )

    @classmethod
    def of_object(cls, members: "dict[str, Template]") -> "Template":
        """Returns the template of an object; not all members are constant."""
        fills = tuple((name, member.fill) for name, member in members.items())
        return cls._of(
            list(members.values()),
            lambda value, variables, budget: {name: fill(value, variables, budget) for name, fill in fills},
        )

    @classmethod
    def of_text(cls, parts: "list[str | Expression]") -> "Template":
        """Returns the template of a text; results of expressions are written into it as `tostring` does."""
        return cls._of(
            [cls.of_expression(part) for part in parts if not isinstance(part, str)],
            lambda value, variables, budget: "".join(
                part
                if isinstance(part, str)
                else written(part.evaluate_within(value, variables, budget), budget)
                for part in parts
            ),
        )

    def or_else(self, literal: str) -> "Template":
        """Returns a template whose value is a literal if this one fails (loose mode, inventory D2)."""
        fill = self.fill

        def tried(value: Json, variables: Mapping[str, Json], budget: Budget) -> Json:
            try:
                return fill(value, variables, budget)
            except LimitExceeded:
                raise
            except ExpressionError:
                return literal

        return Template(self.constant, self.variables, self.guarded, tried)

    @classmethod
    def _of(cls, inside: "list[Template]", fill: Fill) -> "Template":
        variables = _NO_VARIABLES.union(*(template.variables for template in inside))
        return cls(False, variables, any(template.guarded for template in inside), fill)


def written(result: Json, budget: Budget) -> str:
    """Returns a result for a text, as `tostring` writes it (inventory D7). Raises `LimitExceeded`."""
    frame = [budget.left]
    try:
        text = to_string(result, frame)
    except RecursionError:
        raise LimitExceeded("nested too deeply") from None
    budget.left = frame[0]
    return text
