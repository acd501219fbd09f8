"""Reading inside values: `.key`, `.[index]`, `.[start:end]`, `.[]`, `has`."""

import math
from collections.abc import Callable, Collection

from unspool.definitions.expressions.errors import EvaluationError
from unspool.definitions.expressions.frame import ITEM, Frame, charge, charge_copy, charge_text
from unspool.definitions.expressions.numbers import Number, truncated
from unspool.definitions.expressions.ordering import is_number, key, kind
from unspool.definitions.json_value import Json


def member(value: Json, name: str) -> Json:
    """Returns `.name`; null if there is none."""
    if isinstance(value, dict):
        return value.get(name)
    if value is None:
        return None
    raise EvaluationError(f"cannot index {kind(value)} with string")


def index(value: Json, at: Json, frame: Frame) -> Json:
    """Returns `.[at]`."""
    if isinstance(at, str):
        return member(value, at)
    if is_number(at):
        return _item(value, at)
    if isinstance(at, dict) and (value is None or isinstance(value, (list, str))):
        return _slice_object(value, at, frame)
    if isinstance(at, list) and isinstance(value, list):
        return positions(value, at, frame)
    raise EvaluationError(f"cannot index {kind(value)} with {kind(at)}")


def _item(value: Json, at: Number) -> Json:
    if value is None:
        return None
    if not isinstance(value, list):
        raise EvaluationError(f"cannot index {kind(value)} with number")
    place = truncated(at)
    if place < 0:
        place += len(value)
    return value[place] if 0 <= place < len(value) else None


def _slice_object(value: Json, at: dict[str, Json], frame: Frame) -> Json:
    if value is None:
        return None
    if not {"start", "end"} <= at.keys():
        raise EvaluationError("array/string slice indices must be integers")
    return cut(value, at.get("start"), at.get("end"), frame)


def cut(value: Json, start: Json, end: Json, frame: Frame) -> Json:
    """Returns `.[start:end]`: the start is rounded down, the end up, and both are cut to the value."""
    if value is None:
        return None
    if not isinstance(value, (list, str)):
        raise EvaluationError(f"cannot index {kind(value)} with object")
    if not all(bound is None or is_number(bound) for bound in (start, end)):
        raise EvaluationError("array/string slice indices must be integers")
    part = value[_bound(start, len(value), 0, math.floor) : _bound(end, len(value), len(value), math.ceil)]
    (charge_text if isinstance(part, str) else charge_copy)(frame, len(part))
    return part


def _bound(bound: Number | None, length: int, missing: int, whole: Callable[[Number], int]) -> int:
    if bound is None:
        return missing
    place = bound + length if bound < 0 else bound
    place = max(0, min(length, place))
    return whole(place)


def positions(value: list[Json], part: list[Json], frame: Frame) -> Json:
    """Returns the indices at which one array is inside another (`indices`); none if it is empty."""
    if not part:
        return []
    keys = key(value, frame)[1:]
    wanted = key(part, frame)[1:]
    charge(frame, len(keys) * len(wanted) >> 2)
    return [at for at in range(len(keys)) if keys[at : at + len(wanted)] == wanted]


def items(value: Json) -> Collection[Json]:
    """Returns the outputs of `.[]`: the items of an array, or the values of an object in their order."""
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        return value.values()
    raise EvaluationError(f"cannot iterate over {kind(value)}")


def has(value: Json, name: Json) -> bool:
    """Returns `has(name)`."""
    if isinstance(value, dict) and isinstance(name, str):
        return name in value
    if isinstance(value, list) and is_number(name):
        return 0 <= truncated(name) < len(value)
    if value is None:
        return False
    raise EvaluationError(f"cannot check whether {kind(value)} has a {kind(name)} key")


def contains(value: Json, part: Json, frame: Frame) -> bool:
    """Returns `contains(part)`."""
    if kind(value) != kind(part) or (isinstance(value, bool) and value is not part):
        raise EvaluationError(f"{kind(value)} and {kind(part)} cannot have their containment checked")
    return _contains(value, part, frame)


def _contains(value: Json, part: Json, frame: Frame) -> bool:
    charge(frame, ITEM)
    if isinstance(value, dict) and isinstance(part, dict):
        return all(name in value and _contains(value[name], inner, frame) for name, inner in part.items())
    if isinstance(value, list) and isinstance(part, list):
        return all(any(_contains(item, inner, frame) for item in value) for inner in part)
    if isinstance(value, str) and isinstance(part, str):
        charge_text(frame, len(value))
        return part in value
    return key(value, frame) == key(part, frame)
