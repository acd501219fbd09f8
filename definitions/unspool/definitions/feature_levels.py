"""Which releases know what a definition uses, for updates in which services of two releases are alive.

Releases do not compare versions: each service tells the level of features that it knows in its heartbeats. A
release that adds something to definitions adds a level here and in `unspool.definitions.release_level`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from unspool.definitions.document import Document
from unspool.definitions.findings import Findings
from unspool.definitions.json_pointer import child
from unspool.definitions.problems import Problem, Severity
from unspool.definitions.release_level import LEVEL
from unspool.definitions.schema import Occurrence, check_structure

_FAULTS: Final = "executions fault there"

_TASKS: Final[Mapping[str, tuple[int, str]]] = {
    "call: http": (0, ""),
    "run: shell": (0, ""),
    "run: workflow": (1, "it ends a sub-workflow without telling its parent, which then waits for ever"),
}
"""By the kind of a call or run: the level that knows it, and what an older service does.

Others are of level 1.
"""

_KEYWORDS: Final[Mapping[str, int]] = {"listen": 1, "emit": 1}
"""By the keyword of a task: the level that knows it. Others are of level 0."""

_MEMBERS: Final[Mapping[tuple[str, ...], tuple[int, str]]] = {
    ("schedule",): (1, "it does not work on schedules"),
    ("use", "extensions"): (1, "it leaves them out"),
    ("use", "secrets"): (1, _FAULTS),
    ("document", "metadata", "unspool", "idempotencyKey"): (1, "it ignores the key"),
    ("document", "metadata", "unspool", "tags"): (1, "it ignores the tags"),
}
"""By the path of a member of a definition: the level that knows it, and what an older service does."""


class _Use(NamedTuple):
    """A place where a definition uses a feature."""

    pointer: str
    feature: str
    level: int
    effect: str
    """What a service does that does not know it."""


def unknown_features(document: Document, level: int) -> tuple[Problem, ...]:
    """Returns a warning for each place of a valid definition that a service of this level does not know."""
    if level >= LEVEL:
        return ()
    used = [*_of_members(document.value), *_of_tasks(check_structure(document, Findings(document)))]
    return tuple(
        document.problem(
            use.pointer,
            f"a service of an older release that is alive does not know '{use.feature}': {use.effect}; "
            "start executions after the update of all services",
            at_key=True,
            severity=Severity.WARNING,
        )
        for use in used
        if use.level > level
    )


def _of_members(definition: Mapping[str, Any]) -> Iterator[_Use]:
    for path, (level, effect) in _MEMBERS.items():
        part: Any = definition
        for name in path:
            part = part.get(name) if isinstance(part, dict) else None
        if part is not None:
            yield _Use(child("", *path), ".".join(path), level, effect)


def _of_tasks(occurrences: list[Occurrence]) -> Iterator[_Use]:
    for found in occurrences:
        if found.role != "task" or not isinstance(found.value, dict):
            continue
        task = found.value
        if "call" in task:
            yield _use(found.pointer, "call", f"call: {task['call']}")
        elif isinstance(task.get("run"), dict):
            kinds = task["run"].keys() & {"container", "script", "shell", "workflow"}
            for kind in kinds:
                yield _use(found.pointer, "run", f"run: {kind}")
        for keyword in _KEYWORDS.keys() & task.keys():
            yield _Use(child(found.pointer, keyword), keyword, _KEYWORDS[keyword], _FAULTS)


def _use(pointer: str, keyword: str, feature: str) -> _Use:
    level, effect = _TASKS.get(feature, (1, _FAULTS))
    return _Use(child(pointer, keyword), feature, level, effect)
