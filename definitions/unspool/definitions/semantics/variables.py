"""The variables that exist at a place of a definition (inventory E2, E12, E13)."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from unspool.definitions.expressions import NOW
from unspool.definitions.json_pointer import parts

ARGUMENTS: Final = frozenset(
    {"context", "input", "output", "secrets", "authorization", "task", "workflow", "runtime"}
)
"""Variables that exist everywhere; some may be null (dsl.md, "Runtime expression arguments")."""

RESERVED: Final = ARGUMENTS | {"ENV", "__loc__", NOW}
"""Names that variables of authors cannot have."""


def variables_at(definition: Mapping[str, Any], pointer: str) -> frozenset[str] | None:
    """Returns the variables that exist at a place; None under `use`, because that depends on the user.

    The variables of a task exist in all parts of the task. Where they have no value, they are null: for
    example `catch.as` in the output of a task that did not fail.
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
    """Yields the variables that a task or a subscription declares for the values inside it."""
    match part:
        case {"for": dict(loop)}:
            yield from (loop.get("each", "item"), loop.get("at", "index"))
        case {"foreach": dict(iterator)}:
            yield from (iterator.get("item", "item"), iterator.get("at", "index"))
        case {"catch": dict(catch)}:
            yield catch.get("as", "error")
        case _:
            pass
