"""Members deep inside objects, by their path."""

from collections.abc import Iterable
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
