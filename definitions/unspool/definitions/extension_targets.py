"""The tasks that an extension extends, by its `extend` (inventory Q1)."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from unspool.definitions.json_pointer import child

EXTENSIONS: Final = "/use/extensions"
"""Pointer of the extensions of a workflow."""

ALL: Final = "all"
"""The `extend` that means tasks of every kind."""

_TARGETS: Final = {
    "for": "for",  # before `do`, which is also a member of `for` tasks
    "do": "composite",
    "fork": "composite",
    "call": "call",
    "emit": "emit",
    "listen": "listen",
    "raise": "raise",
    "run": "run",
    "set": "set",
    "switch": "switch",
    "try": "try",
    "wait": "wait",
}
"""The names that extensions have for tasks, by a member of the task."""


def target_of(task: Mapping[str, Any]) -> str:
    """Returns the name that extensions have for tasks of this kind; empty if the task has no kind."""
    return next((target for member, target in _TARGETS.items() if member in task), "")


def pointers_by_target(extensions: Iterable[Mapping[str, Any]]) -> Mapping[str, tuple[str, ...]]:
    """Returns the pointers of the extensions that have tasks, by the kind of tasks that they extend.

    Args:
        extensions: the list of `use.extensions`.
    """
    declared = [
        (spec["extend"], child(EXTENSIONS, index, name))
        for index, entry in enumerate(extensions)
        for name, spec in entry.items()
        if spec.get("before") or spec.get("after")
    ]
    return {
        target: tuple(pointer for extend, pointer in declared if extend in {target, ALL})
        for target in set(_TARGETS.values())
    }
