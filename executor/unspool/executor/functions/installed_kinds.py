"""Loads kinds of calls from installed packages: those that the operator names, and no others.

A package of others runs with the rights of the executor. So one that is merely installed, perhaps because
another package needs it, is not loaded.
"""

import logging
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points

from unspool.definitions.data_schema import BadSchema, DataSchema
from unspool.definitions.spelling import did_you_mean
from unspool.executor.functions.function_set import ServedFunction
from unspool.executor.functions.task_kind import GROUP, KindCall, TaskKind
from unspool.functions.declaration import NAME, QUEUE, RESERVED, VERSION

log = logging.getLogger(__name__)


class BadKind(Exception):
    """A kind of a package cannot be used."""


def load_kinds(names: Iterable[str]) -> list[ServedFunction]:
    """Returns the kinds that the operator names. One that cannot be used is logged and left out."""
    installed = entry_points(group=GROUP)
    found = []
    for name in dict.fromkeys(names):
        try:
            found.append(_served(_entry_point(name, installed)))
        except BadKind as cause:
            log.error("the kind of call %r is not available: %s", name, cause, extra={"action": "bad_kind"})  # noqa: TRY400 - the message has the cause
    return found


def _entry_point(name: str, installed: Iterable[EntryPoint]) -> EntryPoint:
    known = list(installed)
    of_name = [each for each in known if each.name == name]
    if not of_name:
        suggestion = did_you_mean(name, sorted({each.name for each in known}))
        raise BadKind(f"no installed package has it in the group {GROUP}{suggestion}")
    if len({each.value for each in of_name}) > 1:
        packages = ", ".join(sorted({each.dist.name if each.dist else each.value for each in of_name}))
        raise BadKind(f"several packages have it: {packages}")
    return of_name[0]


def _served(entry: EntryPoint) -> ServedFunction:
    place = f"{entry.value} of the package {entry.dist.name}" if entry.dist else entry.value
    try:
        loaded = entry.load()
    except (Exception, SystemExit) as error:
        raise BadKind(f"{place} cannot be imported: {type(error).__name__}: {error}") from error
    kind = _kind(loaded, entry.name, place)
    try:
        check = None if kind.schema is None else DataSchema.compile(kind.schema)
    except BadSchema as error:
        raise BadKind(f"the schema of {place} cannot be used: {error}") from error
    return ServedFunction(
        name=kind.name,
        version=kind.version,
        queue=kind.queue or f"tasks:{kind.name}",
        input_schema={"type": "object"} if kind.schema is None else kind.schema,
        output_schema={},
        target=KindCall(kind, check),
        special=kind.queue is not None,
        place=place,
    )


def _kind(loaded: object, name: str, place: str) -> TaskKind:
    """The kind that an object describes: a `TaskKind`, or an object with the same members."""
    try:
        kind = TaskKind(
            name=loaded.name,  # type: ignore[attr-defined]  # checked here
            open_handler=loaded.open_handler,  # type: ignore[attr-defined]  # checked here
            schema=getattr(loaded, "schema", None),
            version=getattr(loaded, "version", "1.0.0"),
            queue=getattr(loaded, "queue", None),
        )
    except AttributeError as error:
        raise BadKind(f"{place} is no TaskKind: {error}") from error
    if kind.name != name:
        raise BadKind(f"{place} has the name {kind.name!r}, and its entry point has another one")
    if not NAME.fullmatch(name) or name in RESERVED:
        raise BadKind(f"{place}: no call can have this name")
    if not callable(kind.open_handler):
        raise BadKind(f"{place}: open_handler is not a function")
    if not VERSION.fullmatch(str(kind.version)):
        raise BadKind(f"{place}: {kind.version!r} is not a semantic version such as 1.2.0")
    if kind.queue is not None and not QUEUE.fullmatch(str(kind.queue)):
        raise BadKind(f"{place}: {kind.queue!r} cannot be the name of a queue")
    return kind
