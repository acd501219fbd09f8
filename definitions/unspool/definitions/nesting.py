"""Measures how deeply data is nested, without recursion, because Python limits the depth of recursion."""

from collections.abc import Iterable
from itertools import chain

from unspool.definitions.json_value import Json


def is_deeper(value: Json, levels: int) -> bool:
    """Returns whether a value has more than this many levels of arrays and objects; a scalar has none."""
    collections = [value] if isinstance(value, dict | list) else []
    for _ in range(levels):
        if not collections:
            return False
        members = chain.from_iterable(map(_members, collections))
        collections = [member for member in members if isinstance(member, dict | list)]
    return bool(collections)


def _members(collection: dict[str, Json] | list[Json]) -> Iterable[Json]:
    return collection.values() if isinstance(collection, dict) else collection
