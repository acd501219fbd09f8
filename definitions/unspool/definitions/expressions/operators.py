"""Arithmetic between values of all types."""

import operator
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from unspool.definitions.expressions.errors import EvaluationError
from unspool.definitions.expressions.frame import ITEM, Frame, charge, charge_copy, charge_text
from unspool.definitions.expressions.numbers import (
    EXACT,
    LARGEST,
    SMALLEST,
    Number,
    calculated,
    computed,
    integer,
    truncated,
)
from unspool.definitions.expressions.ordering import equal, is_number, key, kind, less
from unspool.definitions.json_value import Json


def add(left: Json, right: Json, frame: Frame) -> Json:
    """Returns `left + right`: numbers, strings, arrays, objects (the right wins). Null changes nothing."""
    one, other = type(left), type(right)
    if one is int and other is int:
        total = left + right
        return total if SMALLEST <= total <= LARGEST else integer(total, left, right)
    if one is str and other is str:
        charge_text(frame, len(left) + len(right))
        return left + right
    if left is None:
        return right
    if right is None:
        return left
    if is_number(left) and is_number(right):
        return calculated(operator.add, left, right)
    if isinstance(left, list) and isinstance(right, list):
        charge_copy(frame, len(left) + len(right))
        return left + right
    if isinstance(left, dict) and isinstance(right, dict):
        charge(frame, (len(left) + len(right) >> 1) + 1)
        return {**left, **right}
    raise _cannot_be("added", left, right)


def subtract(left: Json, right: Json, frame: Frame) -> Json:
    """Returns `left - right`: numbers; an array without the items of another."""
    if type(left) is int and type(right) is int:
        return integer(left - right, left, right)
    if is_number(left) and is_number(right):
        return calculated(operator.sub, left, right)
    if isinstance(left, list) and isinstance(right, list):
        unwanted = {key(item, frame) for item in right}
        return [item for item in left if key(item, frame) not in unwanted]
    raise _cannot_be("subtracted", left, right)


def multiply(left: Json, right: Json, frame: Frame) -> Json:
    """Returns `left * right`: numbers; a string repeated; objects merged deeply."""
    if type(left) is int and type(right) is int:
        product = left * right
        # The sign of a zero is lost in integers; jq keeps it.
        return integer(product, left, right) if product else computed(float(left) * float(right))
    if is_number(left) and is_number(right):
        return calculated(operator.mul, left, right)
    if isinstance(left, str) and is_number(right):
        return _repeated(left, right, frame)
    if is_number(left) and isinstance(right, str):
        return _repeated(right, left, frame)
    if isinstance(left, dict) and isinstance(right, dict):
        return _merged(left, right, frame)
    raise _cannot_be("multiplied", left, right)


def _repeated(text: str, times: float, frame: Frame) -> str | None:
    if times < 0:
        return None
    charge_text(frame, len(text) * int(times))
    return text * int(times) if text else ""


def _merged(left: dict[str, Json], right: dict[str, Json], frame: Frame) -> dict[str, Json]:
    charge(frame, ITEM * (len(left) + len(right) + 1))
    merged = dict(left)
    for name, value in right.items():
        before = merged.get(name)
        if isinstance(before, dict) and isinstance(value, dict):
            merged[name] = _merged(before, value, frame)
        else:
            merged[name] = value
    return merged


def divide(left: Json, right: Json, frame: Frame) -> Json:
    """Returns `left / right`: numbers; a string split by another."""
    one, other = type(left), type(right)
    if (one is int or one is float) and (other is int or other is float):
        if not right:
            raise EvaluationError("number and number cannot be divided because the divisor is zero")
        if -EXACT <= left <= EXACT and -EXACT <= right <= EXACT:
            return computed(left / right)
        return calculated(operator.truediv, left, right)
    if isinstance(left, str) and isinstance(right, str):
        return split(left, right, frame)
    raise _cannot_be("divided", left, right)


def split(text: str, separator: str, frame: Frame) -> list[str]:
    """Returns the pieces of a text between the separators; its characters if there is no separator."""
    charge(frame, ITEM * (text.count(separator) + 1) + (len(text) >> 4))
    if not text:
        return []
    return text.split(separator) if separator else list(text)


def remainder(left: Json, right: Json, _: Frame) -> Json:
    """Returns `left % right` of the numbers cut to integers. It has the sign of the left one."""
    if not (is_number(left) and is_number(right)):
        raise _cannot_be("divided (remainder)", left, right)
    dividend, divisor = _whole(left), abs(_whole(right))
    if not divisor:
        raise EvaluationError("number and number cannot be divided (remainder) because the divisor is zero")
    rest = abs(dividend) % divisor
    signed = -rest if dividend < 0 else rest
    return signed if int in (type(left), type(right)) else computed(signed)


def _whole(number: Number) -> int:
    return number if type(number) is int else truncated(number)


def negate(value: Json) -> Json:
    """Returns `-value`."""
    if not is_number(value):
        raise EvaluationError(f"{kind(value)} cannot be negated")
    if type(value) is int:
        return -value if value <= -SMALLEST else integer(-value, value)
    return -value if value else abs(value)


def _cannot_be(done: str, left: Json, right: Json) -> EvaluationError:
    return EvaluationError(f"{kind(left)} and {kind(right)} cannot be {done}")


Operation = Callable[[Json, Json, Frame], Json]

OPERATIONS: Final[Mapping[str, Operation]] = MappingProxyType(
    {
        "+": add,
        "-": subtract,
        "*": multiply,
        "/": divide,
        "%": remainder,
        "==": equal,
        "!=": lambda left, right, frame: not equal(left, right, frame),
        "<": less,
        ">": lambda left, right, frame: less(right, left, frame),
        "<=": lambda left, right, frame: not less(right, left, frame),
        ">=": lambda left, right, frame: not less(left, right, frame),
    }
)
"""The binary operators that take values; `and`, `or` and `//` take expressions."""
