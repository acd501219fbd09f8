"""Event filters, compiled (dsl-reference.md, "Event Filter", "Correlation"; inventory P5 to P7)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from unspool.definitions.compile_context import CompileContext, TaskNotCompilable
from unspool.definitions.data_schema import BadSchema, DataSchema
from unspool.definitions.evaluable import Evaluable
from unspool.definitions.expressions import Expression
from unspool.definitions.expressions.template import split
from unspool.definitions.json_value import Json

_SPECIAL_IN_PATTERNS: Final = re.compile(r"[\\^$*+?()\[\]{}|]")
"""Characters of a regular expression. A dot alone is not enough: event types and addresses have dots."""

_PATH_OF_VARIABLE: Final = re.compile(r"\s*\$[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*\s*", re.ASCII)

_PATH_OF_EVENT: Final = re.compile(
    r"""(?=\.)(?:\.|(?:\.(?:[A-Za-z_]\w*|"[^"\\]*")|\.?\[(?:[0-9]{1,9}|"[^"\\]*")\])+)""", re.ASCII
)
"""An expression that only reads a member of the event, such as `.data.orders[0].id`."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A text that must be equal or match completely. The engine takes linear time."""

    text: str
    whole: DataSchema


@dataclass(frozen=True, slots=True)
class Predicate:
    """An expression on the value: true, or equal to the value."""

    expression: Evaluable


Condition: TypeAlias = "Pattern | Predicate | Mapping[str, Condition] | tuple[Condition, ...] | Literal"
"""A condition on a value. An object needs only the members that are named, an array needs each item."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A value that must be equal."""

    value: Json


@dataclass(frozen=True, slots=True)
class Correlation:
    """A value that is taken from the event and must be the expected one."""

    name: str
    source: str
    """The expression `from` as it is written."""
    extract: Expression
    """`from`, evaluated on the whole event."""
    expect: Evaluable | None
    """Evaluated when the task starts. If it is None, the first value of that name is expected."""

    @property
    def indexed(self) -> bool:
        """Whether an index computes the value of each event: `from` is a path.

        Any other expression can take long, and the events of all tenants wait for the index.
        """
        return not self.extract.guarded and bool(_PATH_OF_EVENT.fullmatch(self.extract.source))


@dataclass(frozen=True, slots=True)
class EventFilter:
    """A filter of events."""

    literals: Mapping[str, str]
    """Attributes that are compared with a text of the definition."""
    expected: Mapping[str, Evaluable]
    """Attributes that are compared with a variable, which is read when the task starts."""
    conditions: Mapping[str, Condition]
    """All other attributes."""
    correlations: tuple[Correlation, ...]


ANY_EVENT: Final = EventFilter({}, {}, {}, ())


def compile_filter(spec: Mapping[str, Any], context: CompileContext) -> EventFilter:
    """Compiles an event filter."""
    literals, expected, conditions = {}, {}, {}
    for name, value in spec["with"].items():
        condition = _condition(value, context)
        if isinstance(condition, Literal) and isinstance(condition.value, str) and name != "data":
            literals[name] = condition.value
        elif isinstance(value, str) and (variable := _variable(value)) is not None and name != "data":
            expected[name] = context.expression(variable)
        else:
            conditions[name] = condition
    correlations = tuple(
        Correlation(
            name,
            each["from"],
            context.expression(each["from"]),
            context.template(each["expect"]) if "expect" in each else None,
        )
        for name, each in (spec.get("correlate") or {}).items()
    )
    return EventFilter(literals, expected, conditions, correlations)


def _variable(text: str) -> str | None:
    """Returns the source if a text is an expression that only reads a variable."""
    parts = split(text)
    [first, *others] = parts
    if others or not first.expression or not _PATH_OF_VARIABLE.fullmatch(first.source):
        return None
    return first.source


def _condition(value: Json, context: CompileContext) -> Condition:
    match value:
        case dict():
            return {name: _condition(member, context) for name, member in value.items()}
        case list():
            return tuple(_condition(item, context) for item in value)
        case str() if any(part.expression for part in split(value)):
            return Predicate(context.template(value))
        case str() if is_pattern(value):
            return Pattern(value, pattern(value))
        case _:
            return Literal(value)


def is_pattern(text: str) -> bool:
    """Returns whether a text of a filter is a regular expression; else it is compared as it is."""
    return not any(part.expression for part in split(text)) and bool(_SPECIAL_IN_PATTERNS.search(text))


def pattern(text: str) -> DataSchema:
    """Compiles a regular expression that must match a whole text. Raises `TaskNotCompilable`."""
    try:
        DataSchema.compile({"pattern": text})  # `a)|(b` is one only within the other parentheses
        return DataSchema.compile({"type": "string", "pattern": f"^(?:{text})$"})
    except BadSchema:
        raise TaskNotCompilable(
            f"'{text}' is not a regular expression, or one with look-around or a back-reference"
        ) from None
