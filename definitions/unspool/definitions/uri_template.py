"""URI templates: RFC 6570's simple expansion, as far as the DSL allows it (dsl-reference.md, "URI Template").

Only `{name}`; the name is a top-level key of the data, taken to the letter. Values are percent-encoded, so
data cannot change the structure of an address: also "." and "..", which would remove segments of its path.
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
    """Literal texts, and between each two of them a variable."""

    literals: tuple[str, ...]
    names: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "UriTemplate":
        """Reads a template; text without variables is a template too."""
        pieces = _VARIABLE.split(text)
        return cls(tuple(pieces[::2]), tuple(pieces[1::2]))

    def expand(self, data: Json) -> str:
        """The text with the data's values in it; what is missing or null is empty (inventory L2).

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
    """A URI as written: templates, and expressions whose results are taken as they are (inventory L3)."""

    parts: tuple[UriTemplate | Expression, ...]
    variables: frozenset[str]
    literal: UriTemplate | None = None
    """What it is if it does not evaluate (loose mode)."""

    def evaluate_within(self, value: Json, variables: Mapping[str, Json], budget: Budget) -> str:
        """The URI. Raises `ExpressionError`."""
        try:
            if len(self.parts) == 1 and not isinstance(self.parts[0], UriTemplate):
                return _whole(self.parts[0].evaluate_within(value, variables, budget))
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


def _whole(result: Json) -> str:
    if isinstance(result, str):
        return result
    raise ExpressionError("an expression for a URI must give text")
