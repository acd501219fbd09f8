"""Members deep inside objects, by their path."""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from unspool.definitions.json_value import Json

Path: TypeAlias = tuple[str, ...]
"""Names of members, from the outermost object down."""


def member_at(value: Json, path: Iterable[str]) -> Json:
    """Returns a member; None if there is none."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def with_member(value: dict[str, Json], path: Path, member: Json) -> dict[str, Json]:
    """Returns a copy with another member; the objects on the path to it exist."""
    name, *rest = path
    return {**value, name: with_member(value[name], tuple(rest), member) if rest else member}


def copied(value: Json) -> Json:
    """Returns a copy whose objects and arrays can be changed."""
    if isinstance(value, dict):
        return {name: copied(member) for name, member in value.items()}
    return [copied(item) for item in value] if isinstance(value, list) else value


def put_at(value: Json, path: Sequence[str], member: Json) -> None:
    """Puts a member or an item at a path, in place; the objects and arrays on the path to it exist."""
    for step in path[:-1]:
        value = value[int(step)] if isinstance(value, list) else value[step]
    value[int(path[-1]) if isinstance(value, list) else path[-1]] = member
