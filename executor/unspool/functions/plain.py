"""Makes JSON values of what functions return."""

import base64
import dataclasses
from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from math import isfinite
from typing import Any, Final
from uuid import UUID

from unspool.functions.json_place import below
from unspool.functions.shapes import Mismatch

_MOST_LEVELS: Final = 200


def plain(value: Any, place: str = "", levels: int = _MOST_LEVELS) -> Any:
    """Returns the JSON value of a Python value. Raises `Mismatch` if it has none."""
    if value is None or type(value) in {bool, int, str}:
        return value
    if levels == 0:
        raise Mismatch(place, f"the value is nested more than {_MOST_LEVELS} levels deep")
    if isinstance(value, Mapping):
        return {
            _member_name(name, place): plain(member, below(place, str(name)), levels - 1)
            for name, member in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item, below(place, index), levels - 1) for index, item in enumerate(value)]
    known = _scalar(value, place)
    return known if known is not None else plain(_members(value, place), place, levels - 1)


def _scalar(value: Any, place: str) -> Any:
    """Returns the JSON value of a number, a text, a time …; None for other values."""
    match value:
        case Enum():
            return plain(value.value, place)
        case bool() | int() | str():
            return value
        case float():
            if not isfinite(value):
                raise Mismatch(place, f"JSON has no number {value}")
            return float(value)
        case Decimal() | UUID():
            return str(value)
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case date() | time():
            return value.isoformat()
        case bytes() | bytearray():
            return base64.b64encode(value).decode()
        case _:
            return None


def _members(value: Any, place: str) -> Any:
    """Returns the members of an object as a value that `plain` knows."""
    if hasattr(value, "__pydantic_serializer__"):
        return value.__pydantic_serializer__.to_python(value, mode="json", by_alias=True)
    if hasattr(type(value), "__struct_config__"):
        import msgspec  # noqa: PLC0415 - only if the author uses it

        return msgspec.to_builtins(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
    raise Mismatch(place, f"an object of type {type(value).__name__} has no form in JSON")


def _member_name(name: Any, place: str) -> str:
    if isinstance(name, Enum):
        name = name.value
    if not isinstance(name, str):
        raise Mismatch(place, f"the names of members are text, not {type(name).__name__}")
    return str(name)
