"""The size of a value as JSON.

Values are shared, not copied: `[., .] | [., .] | …`, or a task that doubles its input in a loop, quickly
makes values whose JSON would not fit in memory. So every new value is measured before it is stored.
"""

from typing import Final

from unspool.definitions.expressions.errors import LimitExceeded
from unspool.definitions.json_value import Json

MAX_JSON_SIZE: Final = 8 * 1024 * 1024
"""Characters of a value as JSON, roughly."""

MAX_DEPTH: Final = 200
"""Levels of a value; an event around it adds a few, and JSON ends at 254 (orjson)."""

_SCALAR: Final = 4
"""Characters of a value that is neither text nor a collection, and of the punctuation around any value."""


def json_size(value: Json) -> int:
    """Returns about how many characters a value has as JSON. Each part counts as often as it occurs.

    Raises:
        LimitExceeded: it is too large or too deep.
    """
    kind = type(value)
    if kind is not dict and kind is not list:
        return _checked(_SCALAR + len(value) if kind is str else _SCALAR)
    size, level = _SCALAR, [value]
    for _ in range(MAX_DEPTH):
        inside: list[Json] = []
        for collection in level:
            size += _SCALAR * len(collection)
            members = collection
            if type(collection) is dict:
                size += sum(map(len, collection))
                members = collection.values()
            for member in members:
                kind = type(member)
                if kind is str:
                    size += len(member)
                elif kind is dict or kind is list:
                    inside.append(member)
            if size > MAX_JSON_SIZE:
                break
        if size > MAX_JSON_SIZE or not inside:
            return _checked(size)
        level = inside
    raise LimitExceeded(f"a value of more than {MAX_DEPTH} levels")


def _checked(size: int) -> int:
    if size > MAX_JSON_SIZE:
        raise LimitExceeded(f"a value of more than {MAX_JSON_SIZE} characters")
    return size
