"""How deeply data is nested, found without recursion: that has limits of its own."""

from collections.abc import Iterable
from itertools import chain

from unspool.definitions.json_value import Json


def is_deeper(value: Json, levels: int) -> bool:
    """Whether arrays and objects are nested more than so many levels deep; a scalar has none."""
    collections = [value] if isinstance(value, dict | list) else []
    for _ in range(levels):
        if not collections:
            return False
        members = chain.from_iterable(map(_members, collections))
        collections = [member for member in members if isinstance(member, dict | list)]
    return bool(collections)


def _members(collection: dict[str, Json] | list[Json]) -> Iterable[Json]:
    return collection.values() if isinstance(collection, dict) else collection
