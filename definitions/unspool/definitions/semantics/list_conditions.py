"""Finds conditions that no list of events meets, by the lengths that they allow."""

import math
from collections.abc import Callable, Mapping
from itertools import dropwhile
from typing import Final, NamedTuple

from unspool.definitions.expressions.syntax import Array, Binary, Call, Identity, Literal, Negate, Node, Pipe


class _Lengths(NamedTuple):
    """The lengths with which a condition can hold: all whole numbers between two, at most."""

    least: float
    most: float

    @property
    def none(self) -> bool:
        return self.least > self.most


_ALL: Final = _Lengths(1, math.inf)
"""A condition is evaluated after an event, so the list is never empty."""
_NO: Final = _Lengths(1, 0)

_COMPARED: Final[Mapping[str, Callable[[float], _Lengths]]] = {
    "<": lambda value: _Lengths(1, math.ceil(value) - 1),
    "<=": lambda value: _Lengths(1, math.floor(value)),
    ">": lambda value: _Lengths(math.floor(value) + 1, math.inf),
    ">=": lambda value: _Lengths(math.ceil(value), math.inf),
    "==": lambda value: _Lengths(math.ceil(value), math.floor(value)),
}
_MIRRORED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "=="}


def never_holds(condition: Node) -> bool:
    """Returns whether no list with an element meets a condition. False if that is not certain."""
    return _lengths(condition).none


def _lengths(node: Node) -> _Lengths:
    match _unpiped(node):
        case Literal(value) if value is None or value is False:
            return _NO
        case Binary("and", left, right):
            return _both(_lengths(left), _lengths(right))
        case Binary("or", left, right):
            return _either(_lengths(left), _lengths(right))
        case Binary("==", Identity(), Literal(value)) | Binary("==", Literal(value), Identity()):
            return _ALL if isinstance(value, list) else _NO
        case Binary("==", Identity(), Array(None)) | Binary("==", Array(None), Identity()) | Call("not", ()):
            return _NO
        case Binary(operator, left, right) if operator in _COMPARED and _is_length(left):
            return _compared(operator, right)
        case Binary(operator, left, right) if operator in _COMPARED and _is_length(right):
            return _compared(_MIRRORED[operator], left)
        case _:
            return _ALL


def _compared(operator: str, value: Node) -> _Lengths:
    """Returns the lengths that compare so with a value. In jq null and booleans are less than all numbers."""
    number = _number(value)
    if number is not None:
        return _both(_ALL, _COMPARED[operator](number))
    match value:
        case Literal(None | bool()):
            return _ALL if operator in (">", ">=") else _NO
        case Literal() | Array(None):
            return _ALL if operator in ("<", "<=") else _NO
        case _:
            return _ALL


def _is_length(node: Node) -> bool:
    return _unpiped(node) == Call("length", ())


def _unpiped(node: Node) -> Node:
    """Returns a node without `.` before its first pipes."""
    if not isinstance(node, Pipe):
        return node
    *before, last = node.parts
    rest = tuple(dropwhile(lambda part: isinstance(part, Identity), before))
    return Pipe((*rest, last)) if rest else last


def _number(node: Node) -> float | None:
    match node:
        case Literal(int() | float() as value) if not isinstance(value, bool):
            return value
        case Negate(body):
            negated = _number(body)
            return None if negated is None else -negated
        case _:
            return None


def _both(one: _Lengths, other: _Lengths) -> _Lengths:
    return _Lengths(max(one.least, other.least), min(one.most, other.most))


def _either(one: _Lengths, other: _Lengths) -> _Lengths:
    if one.none or other.none:
        return other if one.none else one
    return _Lengths(min(one.least, other.least), max(one.most, other.most))
