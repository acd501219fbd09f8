"""URI templates: the simple expansion of RFC 6570 that the DSL allows (dsl-reference.md, "URI Template").

Only `{name}` is a variable. The name is a top-level key of the data, used exactly as written. Values are
percent-encoded, so that data cannot change the structure of an address. So are "." and "..", which would
remove segments of the path.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from unspool.definitions.expressions import Budget, Expression, ExpressionError, LimitExceeded
from unspool.definitions.expressions.template import written
from unspool.definitions.json_value import Json

_DOT_SEGMENTS: Final = frozenset({".", ".."})
_VARIABLE: Final = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True, slots=True)
class UriTemplate:
    """Literal texts, with one variable between each two of them."""

    literals: tuple[str, ...]
    names: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "UriTemplate":
        """Reads a template. A text without variables is a template, too."""
        pieces = _VARIABLE.split(text)
        return cls(tuple(pieces[::2]), tuple(pieces[1::2]))

    def expand(self, data: Json) -> str:
        """Returns the text with the values of the data. A missing or null value is empty (inventory L2).

        Raises:
            ExpressionError: a value is an object or an array.
        """
        if not self.names:
            return self.literals[0]
        values = data if isinstance(data, dict) else {}
        filled = [self.literals[0]]
        for name, literal in zip(self.names, self.literals[1:], strict=True):
            filled += (_encoded(name, values.get(name)), literal)
        return "".join(filled)


def _encoded(name: str, value: Json) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str() | int() | float():
            text = str(value)
            return text.replace(".", "%2E") if text in _DOT_SEGMENTS else quote(text, safe="-._~")
        case _:
            raise ExpressionError(f"the URI variable {{{name}}} is neither text, number nor boolean")


@dataclass(frozen=True, slots=True)
class Address:
    """A URI with templates and expressions. The results of expressions are not expanded (inventory L3)."""

    parts: tuple[UriTemplate | Expression, ...]
    variables: frozenset[str]
    literal: UriTemplate | None = None
    """The value if the evaluation fails (loose mode)."""

    def evaluate_within(self, value: Json, variables: Mapping[str, Json], budget: Budget) -> str:
        """Returns the URI. Raises `ExpressionError`."""
        try:
            if len(self.parts) == 1 and not isinstance(self.parts[0], UriTemplate):
                return _require_text(self.parts[0].evaluate_within(value, variables, budget))
            return "".join(
                part.expand(value)
                if isinstance(part, UriTemplate)
                else written(part.evaluate_within(value, variables, budget), budget)
                for part in self.parts
            )
        except LimitExceeded:
            raise
        except ExpressionError:
            if self.literal is None:
                raise
            return self.literal.expand(value)


def _require_text(result: Json) -> str:
    if isinstance(result, str):
        return result
    raise ExpressionError("an expression for a URI must return text")
