"""jq's order of all values: null, false, true, numbers, strings, arrays, objects; and equality under it."""

from typing import Any, Final

from unspool.definitions.expressions.frame import ITEM, Frame, charge
from unspool.definitions.json_value import Json

Key = tuple[Any, ...]

_NUMBER, _STRING, _ARRAY, _OBJECT = 3, 4, 5, 6
_PLAIN: Final = frozenset({str, int, float})


def kind(value: Json) -> str:
    """Returns the name of a value's type, as `type` gives it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "string"
    if isinstance(value, (int, float)):
        return "number"
    return "array" if isinstance(value, list) else "object"


def holds(value: Json) -> bool:
    """Whether a condition that gives this is met."""
    return value is not None and value is not False


def is_number(value: Json) -> bool:
    """Whether it is a number; a boolean is not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def key(value: Json, frame: Frame) -> Key:
    """Returns a tuple that sorts, compares and hashes as the value does in jq."""
    charge(frame, ITEM)
    if value is None:
        return (0,)
    if isinstance(value, bool):
        return (2,) if value else (1,)
    if isinstance(value, str):
        return (_STRING, value)
    if isinstance(value, (int, float)):
        return (_NUMBER, value)
    if isinstance(value, list):
        return (_ARRAY, *[key(item, frame) for item in value])
    names = sorted(value)
    return (_OBJECT, tuple(names), *[key(value[name], frame) for name in names])


def equal(left: Json, right: Json, frame: Frame) -> bool:
    """Returns `left == right`."""
    if left is right:
        return True
    one, other = type(left), type(right)
    if one in _PLAIN and other in _PLAIN:
        return bool(left == right)
    if one is bool or other is bool or left is None or right is None:
        return False  # the same boolean or null is the same object
    return one is other and key(left, frame) == key(right, frame)


def less(left: Json, right: Json, frame: Frame) -> bool:
    """Returns `left < right`."""
    one, other = type(left), type(right)
    if one is other and one in _PLAIN:
        return bool(left < right)
    return key(left, frame) < key(right, frame)


def sort_keys(items: list[Json], frame: Frame) -> list[Key]:
    """Returns the keys of all items. Charges for sorting them, too."""
    before = frame[0]
    keys = [key(item, frame) for item in items]
    # Comparing two keys can cost as much as the shorter one is long, log n times for each.
    charge(frame, (before - frame[0]) * len(items).bit_length() >> 3)
    return keys
