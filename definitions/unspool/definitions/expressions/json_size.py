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


def json_size(value: Json, most: int = MAX_JSON_SIZE) -> int:
    """Returns about how many characters a value has as JSON. Each part counts as often as it occurs.

    Raises:
        LimitExceeded: it is larger than `most`, or too deep. A larger one is not measured to its end.
    """
    kind = type(value)
    if kind is not dict and kind is not list:
        return _checked(_SCALAR + len(value) if kind is str else _SCALAR, most)
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
            if size > most:
                break
        if size > most or not inside:
            return _checked(size, most)
        level = inside
    raise LimitExceeded(f"a value of more than {MAX_DEPTH} levels")


def _checked(size: int, most: int) -> int:
    if size > most:
        raise LimitExceeded(f"a value of more than {most} characters")
    return size
