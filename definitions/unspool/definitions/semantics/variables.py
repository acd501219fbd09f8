"""The variables that exist at a place of a definition (inventory E2, E12, E13)."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from unspool.definitions.expressions import NOW
from unspool.definitions.function_name import CALLS, registered
from unspool.definitions.json_pointer import parts

ARGUMENTS: Final = frozenset(
    {"context", "input", "output", "secrets", "authorization", "task", "workflow", "runtime"}
)
"""Variables that exist everywhere; some may be null (dsl.md, "Runtime expression arguments")."""

RESERVED: Final = ARGUMENTS | {"ENV", "__loc__", NOW}
"""Names that variables of authors cannot have."""

_PROCESSES: Final = frozenset({"shell", "script", "container"})
"""Processes whose arguments an executor evaluates."""


_OF_TAGS: Final = frozenset({"context", "input", "workflow", "runtime"})

_OF_RESOURCE: Final = re.compile(
    r"(?:^/use/catalogs/[^/]*|/(?:input|output|export)/schema/resource|/run/script/source)"
    r"/endpoint/authentication(?:/|$)"
)
"""Pointers of authentications of catalogs, external schemas and external scripts."""


_ADDRESS: Final = re.compile(
    r"(?:^/use/catalogs/[^/]*|/(?:input|output|export)/schema/resource|/run/script/source)/endpoint(?:/uri)?"
)
"""Pointers of their addresses."""


def variables_at(definition: Mapping[str, Any], pointer: str) -> frozenset[str] | None:
    """Returns the variables that exist at a place; None under `use`, because that depends on the user.

    Under `document` there are none, and under `schedule` only `runtime`: they are evaluated before an
    execution exists. Only the tags in `document` are evaluated later.

    The variables of a task exist in all parts of the task. Where they have no value, they are null: for
    example `catch.as` in the output of a task that did not fail.
    """
    steps = parts(pointer)
    if steps[:1] == ["use"]:
        return None
    if steps[:4] == ["document", "metadata", "unspool", "tags"]:
        return _OF_TAGS
    if steps[:1] == ["document"]:
        return frozenset()
    if steps[:1] == ["schedule"]:
        return frozenset({"runtime"})
    names = set(ARGUMENTS)
    part: Any = definition
    for step in steps:
        part = part[int(step)] if isinstance(part, list) else part.get(step)
        if isinstance(part, dict):
            names.update(_declared(part))
    return frozenset(names)


def is_address_of_resource(pointer: str) -> bool:
    """Returns whether a value is the address of a catalog or of an external schema."""
    return _ADDRESS.search(pointer) is not None and _OF_RESOURCE.search(pointer) is None


def secrets_allowed_at(definition: Mapping[str, Any], tasks: Mapping[str, Any], pointer: str) -> bool:
    """Returns whether `$secrets` can be read at a place: only where an executor evaluates it.

    Args:
        definition: the whole definition.
        tasks: its tasks by their pointers.
        pointer: the place.
    """
    if pointer.startswith("/use/authentications/") or _OF_RESOURCE.search(pointer) is not None:
        return True
    around = pointer
    while around and around not in tasks:
        around = around.rpartition("/")[0]
    task = tasks.get(around, {})
    match parts(pointer.removeprefix(around)):
        case ["with", "subscription", "foreach", *_] if task.get("call") == "asyncapi":
            return False
        case ["with", *_]:
            return _is_of_executors(task.get("call"), definition)
        case ["run", process, *_]:
            return process in _PROCESSES
        case _:
            return False


def _is_of_executors(call: Any, definition: Mapping[str, Any]) -> bool:
    """Returns whether an executor evaluates the arguments of a call, as for a function that it has."""
    if not isinstance(call, str) or call in CALLS:
        return call in CALLS
    use = definition.get("use")
    functions = use.get("functions") if isinstance(use, dict) else None
    local = isinstance(functions, dict) and call in functions
    return not local and registered(call) is not None


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
