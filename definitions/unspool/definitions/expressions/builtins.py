"""Builtins that take values: functions of the input, and of the input and one argument."""

import math
import re
from collections.abc import Callable, Mapping
from itertools import chain
from types import MappingProxyType
from typing import Final, NoReturn

from unspool.definitions.expressions.access import contains, has, index, items, positions
from unspool.definitions.expressions.dates import DATE_FILTERS
from unspool.definitions.expressions.encoded_text import explode, implode
from unspool.definitions.expressions.errors import LONGEST_MESSAGE, EvaluationError
from unspool.definitions.expressions.frame import ITEM, Frame, charge, charge_copy, charge_text
from unspool.definitions.expressions.json_parsing import exact_integer, from_json
from unspool.definitions.expressions.json_text import start_of_json, to_json, to_string
from unspool.definitions.expressions.numbers import computed, from_text, rounded
from unspool.definitions.expressions.operators import add, negate, split
from unspool.definitions.expressions.ordering import equal, is_number, kind, less
from unspool.definitions.expressions.path_filters import delete_paths, value_at
from unspool.definitions.json_value import Json

_LOWER: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_UPPER: Final = {code: code - 32 for code in range(ord("a"), ord("z") + 1)}
_SPACE: Final = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
"""Unicode's White_Space, which differs slightly from what `str.strip` removes."""
_NUMERAL: Final = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)


def _length(value: Json, _: Frame) -> Json:
    if value is None:
        return 0
    if isinstance(value, (str, list, dict)):
        return len(value)
    if is_number(value):
        return abs(value)  # exact, as in jq
    raise EvaluationError("boolean has no length")


def _utf8_length(value: Json, frame: Frame) -> int:
    return len(_string(value, "has UTF-8 bytes", frame).encode())


def _string(value: Json, use: str, frame: Frame) -> str:
    if not isinstance(value, str):
        raise EvaluationError(f"only a string {use}, not {kind(value)}")
    charge_text(frame, len(value))
    return value


def keys_in_order(value: Json, frame: Frame) -> list[Json]:
    """Returns `keys_unsorted`."""
    if not isinstance(value, (dict, list)):
        raise EvaluationError(f"{kind(value)} has no keys")
    charge(frame, len(value))
    return list(value) if isinstance(value, dict) else list(range(len(value)))


def total(values: list[Json], frame: Frame) -> Json:
    """Returns `add` of these values; null if there are none."""
    if values and all(type(value) is str for value in values):
        charge_text(frame, sum(map(len, values)) + 16 * len(values))
        return "".join(values)
    if values and all(type(value) is list for value in values):
        charge_copy(frame, sum(map(len, values)) + 16 * len(values))
        return list(chain.from_iterable(values))
    if values and all(type(value) is dict for value in values):
        charge(frame, sum(map(len, values)) + len(values))
        return {name: inner for value in values for name, inner in value.items()}
    sum_so_far: Json = None
    for value in values:
        charge(frame, ITEM)
        sum_so_far = add(sum_so_far, value, frame)
    return sum_so_far


def _reverse(value: Json, frame: Frame) -> list[Json]:
    if isinstance(value, list):
        charge_copy(frame, len(value))
        return value[::-1]
    if _length(value, frame) == 0:
        return []
    raise EvaluationError(f"cannot index {kind(value)} with number")


def _to_number(value: Json, _: Frame) -> Json:
    if is_number(value):
        return value
    if not isinstance(value, str) or not _NUMERAL.fullmatch(value) or len(value) > 1000:
        raise EvaluationError(f"{kind(value)} cannot be parsed as a number")
    digits = value.lstrip("+-")
    if not digits.isdecimal():
        return from_text(value)
    return exact_integer(("-" if value[0] == "-" else "") + (digits.lstrip("0") or "0"))


def _number(value: Json) -> float:
    if not is_number(value):
        raise EvaluationError(f"{kind(value)}: number required")
    return float(value)


def _rounding(function: Callable[[float], float]) -> Callable[[Json, Frame], Json]:
    def run(value: Json, _: Frame) -> Json:
        if type(value) is int:
            return value
        number = _number(value)
        return computed(math.copysign(function(number), number) if number else number)

    return run


def _mathematical(function: Callable[[float], float]) -> Callable[[Json, Frame], Json]:
    def run(value: Json, _: Frame) -> Json:
        return finite(function, _number(value))

    return run


def finite(function: Callable[..., float], *operands: float) -> Json:
    """Returns the result of a mathematical function.

    Raises:
        EvaluationError: it is not a finite number.
    """
    try:
        return computed(function(*operands))
    except (ValueError, OverflowError):
        raise EvaluationError("the result is not a finite number") from None


def _absolute(value: Json, frame: Frame) -> Json:
    return negate(value) if less(value, 0, frame) else value


def _to_boolean(value: Json, _: Frame) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return bool(value == "true")
    raise EvaluationError(f"{kind(value)} cannot be parsed as a boolean")


def _transposed(value: Json, frame: Frame) -> list[Json]:
    rows = list(items(value))
    charge(frame, ITEM * len(rows))
    lengths = [_length(row, frame) for row in rows]
    if not any(lengths):
        return []
    for row in rows:
        if row is not None and not isinstance(row, list):
            raise EvaluationError(f"cannot index {kind(row)} with number")
    width = max(lengths)
    charge(frame, ITEM * width * len(rows))
    return [[index(row, column, frame) for row in rows] for column in range(width)]


def flatten(value: Json, depth: Json, frame: Frame) -> list[Json]:
    """Returns `flatten(depth)`."""
    if less(depth, 0, frame):
        raise EvaluationError("flatten depth must not be negative")
    return _flattened(value, depth, frame)


def _flattened(value: Json, depth: Json, frame: Frame) -> list[Json]:
    flat: list[Json] = []
    for item in items(value):
        charge(frame, ITEM)
        if not isinstance(item, list) or equal(depth, 0, frame):
            flat.append(item)
            continue
        if not is_number(depth):
            raise EvaluationError(f"{kind(depth)} and number cannot be subtracted")
        charge(frame, 8 * ITEM)  # a call costs far more than an item
        flat += _flattened(item, depth - 1, frame)
        charge_copy(frame, len(flat))
    return flat


def join(value: Json, separator: Json, frame: Frame) -> str:
    """Returns `join(separator)`. Null is an empty text; arrays and objects are errors."""
    pieces: list[Json] = []
    for item in items(value):
        charge(frame, ITEM)
        if isinstance(item, (list, dict)):
            raise EvaluationError(f"string and {kind(item)} cannot be added")
        pieces.append("" if item is None else to_string(item, frame))
    between = "" if separator is None else separator
    if len(pieces) > 1 and not isinstance(between, str):
        raise EvaluationError(f"string and {kind(separator)} cannot be added")
    charge_text(frame, sum(map(len, pieces)) + (len(between) if len(pieces) > 1 else 0) * len(pieces))
    return between.join(pieces) if len(pieces) > 1 else "".join(pieces)


def entries(value: Json, frame: Frame) -> list[Json]:
    """Returns `to_entries`."""
    names = keys_in_order(value, frame)
    charge(frame, ITEM * len(names))
    return [{"key": name, "value": value[name]} for name in names]


def from_entries(value: Json, frame: Frame) -> dict[str, Json]:
    """Returns `from_entries`."""
    made: dict[str, Json] = {}
    for entry in items(value):
        charge(frame, ITEM)
        name: Json = None
        for spelling in ("key", "Key", "name", "Name"):
            name = index(entry, spelling, frame)
            if name is not None and name is not False:
                break
        if not isinstance(name, str):
            raise EvaluationError(f"cannot use {kind(name)} as object key")
        made[name] = entry.get("value") if has(entry, "value") else entry.get("Value")
    return made


def _indices(value: Json, part: Json, frame: Frame) -> Json:
    if isinstance(value, list):
        return positions(value, part if isinstance(part, list) else [part], frame)
    if isinstance(value, str) and isinstance(part, str):
        return _string_positions(value, part, frame)
    return index(value, part, frame)


def _string_positions(text: str, part: str, frame: Frame) -> list[int]:
    found: list[int] = []
    at = text.find(part) if part else -1
    while at >= 0:
        charge(frame, ITEM)
        found.append(at)
        at = text.find(part, at + 1)
    charge_text(frame, len(text))
    return found


def _first_index(value: Json, part: Json, frame: Frame) -> Json:
    return index(_indices(value, part, frame), 0, frame)


def _last_index(value: Json, part: Json, frame: Frame) -> Json:
    found = _indices(value, part, frame)
    if found is None or isinstance(found, list):
        return index(found, -1, frame)
    raise EvaluationError(f"cannot index {kind(found)} with object")


def _starts(value: Json, part: Json, _: Frame) -> bool:
    _both_strings(value, part, "startswith")
    return bool(value.startswith(part))


def _ends(value: Json, part: Json, _: Frame) -> bool:
    _both_strings(value, part, "endswith")
    return bool(value.endswith(part))


def _both_strings(value: Json, part: Json, name: str) -> None:
    if not (isinstance(value, str) and isinstance(part, str)):
        raise EvaluationError(f"{name}() requires string inputs")


def _without_start(value: Json, part: Json, frame: Frame) -> str:
    _both_strings(value, part, "startswith")
    charge_text(frame, len(value))
    return str(value.removeprefix(part))


def _without_end(value: Json, part: Json, frame: Frame) -> str:
    _both_strings(value, part, "endswith")
    charge_text(frame, len(value))
    return str(value.removesuffix(part))


def _split(value: Json, separator: Json, frame: Frame) -> list[str]:
    if not (isinstance(value, str) and isinstance(separator, str)):
        raise EvaluationError("split input and separator must be strings")
    return split(value, separator, frame)


def _fail(value: Json, frame: Frame) -> NoReturn:
    if isinstance(value, str):
        raise EvaluationError(value)
    text = start_of_json(value, LONGEST_MESSAGE, frame)
    raise EvaluationError(f"(not a string): {text}")


VALUE_FILTERS: Final[Mapping[str, Callable[[Json, Frame], Json]]] = MappingProxyType(
    {
        "not": lambda value, _: value is None or value is False,
        "length": _length,
        "utf8bytelength": _utf8_length,
        "type": lambda value, _: kind(value),
        "keys": lambda value, frame: sorted(keys_in_order(value, frame)),
        "keys_unsorted": keys_in_order,
        "add": lambda value, frame: total(list(items(value)), frame),
        "reverse": _reverse,
        "tostring": to_string,
        "tojson": to_json,
        "tonumber": _to_number,
        "toboolean": _to_boolean,
        "fromjson": from_json,
        "explode": explode,
        "implode": implode,
        "transpose": _transposed,
        "sqrt": _mathematical(math.sqrt),
        "exp": _mathematical(math.exp),
        "log": _mathematical(math.log),
        "log2": _mathematical(math.log2),
        "log10": _mathematical(math.log10),
        "trunc": _rounding(math.trunc),
        "floor": _rounding(math.floor),
        "ceil": _rounding(math.ceil),
        "round": _rounding(rounded),
        "fabs": lambda value, _: abs(value) if type(value) is int else computed(abs(_number(value))),
        "abs": _absolute,
        "flatten": lambda value, frame: _flattened(value, -1, frame),
        "first": lambda value, frame: index(value, 0, frame),
        "last": lambda value, frame: index(value, -1, frame),
        "to_entries": entries,
        "from_entries": from_entries,
        "ascii_downcase": lambda value, frame: _string(value, "has a case", frame).translate(_LOWER),
        "ascii_upcase": lambda value, frame: _string(value, "has a case", frame).translate(_UPPER),
        "trim": lambda value, frame: _string(value, "can be trimmed", frame).strip(_SPACE),
        "ltrim": lambda value, frame: _string(value, "can be trimmed", frame).lstrip(_SPACE),
        "rtrim": lambda value, frame: _string(value, "can be trimmed", frame).rstrip(_SPACE),
        "error": _fail,
        **DATE_FILTERS,
    }
)
"""Builtins without arguments that have one output."""


VALUE_FUNCTIONS: Final[Mapping[str, Callable[[Json, Json, Frame], Json]]] = MappingProxyType(
    {
        "has": lambda value, name, _: has(value, name),
        "in": lambda value, whole, _: has(whole, value),
        "contains": contains,
        "inside": lambda value, whole, frame: contains(whole, value, frame),
        "startswith": _starts,
        "endswith": _ends,
        "ltrimstr": _without_start,
        "rtrimstr": _without_end,
        "trimstr": lambda value, part, frame: _without_end(_without_start(value, part, frame), part, frame),
        "split": _split,
        "join": join,
        "flatten": flatten,
        "index": _first_index,
        "rindex": _last_index,
        "indices": _indices,
        "nth": index,
        "getpath": value_at,
        "delpaths": delete_paths,
        "error": lambda _value, message, frame: _fail(message, frame),
    }
)
"""Builtins with one argument, applied to each of its outputs."""
