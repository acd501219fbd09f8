"""Finds conditions on events that can never hold, as far as their syntax shows it."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Final

from unspool.definitions.expressions import Budget, ExpressionError, holds
from unspool.definitions.expressions.compiler import closures_of
from unspool.definitions.expressions.errors import OutsideSubset
from unspool.definitions.expressions.lexer import LONGEST_SOURCE, tokenize
from unspool.definitions.expressions.parser import parse
from unspool.definitions.expressions.syntax import (
    Array,
    Binary,
    Call,
    Comma,
    Identity,
    If,
    Index,
    Literal,
    Negate,
    Node,
    Object,
    Path,
    Pipe,
    Text,
    Variable,
    children,
)
from unspool.definitions.semantics.list_conditions import never_holds

_WORK_UNITS: Final = 10_000
_ALTERNATIVE: Final = "//"


class Constant(StrEnum):
    """The value of an expression that reads nothing, as a condition."""

    HOLDS = "holds"
    NEVER = "never"
    """Null, false, no value, or an error."""


def constant(source: str) -> Constant | None:
    """Returns the value of a condition that reads nothing; None if it reads its input or a variable."""
    node = _tree(source)
    if node is None or _reads(node):
        return None
    compiled = closures_of(source)
    if compiled is None:
        return None
    try:
        return (
            Constant.HOLDS
            if holds(compiled.evaluate_within(None, {}, Budget(_WORK_UNITS)))
            else Constant.NEVER
        )
    except ExpressionError:
        return Constant.NEVER


def no_list_meets(source: str) -> bool:
    """Returns whether no list with an element meets a condition. False if that is not certain."""
    node = _tree(source)
    return node is not None and never_holds(node)


def member_of_list(source: str) -> str | None:
    """Returns the first member that an expression reads of its input, which fails if that is a list."""
    node = _tree(source)
    return next(_members(node), None) if node is not None else None


def assigns(source: str) -> bool:
    """Returns whether an expression is an assignment (`.a = 1`)."""
    node = _tree(source)
    return isinstance(node, Binary) and node.operator == "="


def _tree(source: str) -> Node | None:
    """Returns the tree of an expression; None if it has an error or needs real jq."""
    if len(source) > LONGEST_SOURCE:
        return None
    try:
        return parse(tokenize(source))
    except (ExpressionError, OutsideSubset, RecursionError):
        return None


def _reads(node: Node) -> bool:
    """Returns whether an expression may read its input or a variable."""
    match node:
        case Literal():
            return False
        case Pipe(parts):  # only the first part reads the input of the whole
            return _reads(parts[0]) or any(_reads_variable(part) for part in parts[1:])
        case Call("empty", ()):
            return False
        case Array() | Object() | Text() | Comma() | Binary() | Negate() | If():
            return any(_reads(part) for part in children(node))
        case Path(base, _) if not isinstance(base, Identity):
            return any(_reads(part) for part in children(node))
        case _:
            return True


def _reads_variable(node: Node) -> bool:
    return isinstance(node, Variable) or any(_reads_variable(part) for part in children(node))


def _members(node: Node) -> Iterator[str]:
    """Yields members that are read of the input itself, where an error is not handled."""
    match node:
        case Path(Identity(), (Index(Literal(str(name)), optional=False), *_)):
            yield name
        case Pipe(parts):
            yield from _members(parts[0])
        case Binary(operator, left, _) if operator == "and" or operator == "or":  # noqa: PLR1714 - a pattern
            yield from _members(left)
        case Binary(operator, left, right) if operator != _ALTERNATIVE:
            yield from _members(left)
            yield from _members(right)
        case Array() | Comma() | Negate() | Text():
            for part in children(node):
                yield from _members(part)
        case If(((condition, _), *_), _):
            yield from _members(condition)
        case _:
            return
