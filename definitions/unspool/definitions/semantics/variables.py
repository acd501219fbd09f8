"""Which variables an expression may name, by where it stands (inventory E2, E12, E13)."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from unspool.definitions.expressions import NOW
from unspool.definitions.json_pointer import parts

ARGUMENTS: Final = frozenset(
    {"context", "input", "output", "secrets", "authorization", "task", "workflow", "runtime"}
)
"""Variables that are there everywhere, some as null (dsl.md, "Runtime expression arguments")."""

RESERVED: Final = ARGUMENTS | {"ENV", "__loc__", NOW}
"""Names that authors cannot give to variables."""


def variables_at(definition: Mapping[str, Any], pointer: str) -> frozenset[str] | None:
    """The variables there are at a place; None if that depends on who uses what stands there.

    Those of a task are known in all of it, where they have no value yet as null: so does `catch.as` in the
    task's own output.
    """
    steps = parts(pointer)
    if steps[:1] == ["use"]:
        return None
    names = set(ARGUMENTS)
    part: Any = definition
    for step in steps:
        part = part[int(step)] if isinstance(part, list) else part.get(step)
        if isinstance(part, dict):
            names.update(_declared(part))
    return frozenset(names)


def _declared(part: Mapping[str, Any]) -> Iterator[str]:
    """The variables that a task, or a subscription, gives to what is in it."""
    match part:
        case {"for": dict(loop)}:
            yield from (loop.get("each", "item"), loop.get("at", "index"))
        case {"foreach": dict(iterator)}:
            yield from (iterator.get("item", "item"), iterator.get("at", "index"))
        case {"catch": dict(catch)}:
            yield catch.get("as", "error")
        case _:
            pass
