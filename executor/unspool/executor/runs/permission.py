"""What `run` tasks may run: only what the operator allows, because it has the rights of the executor."""

from collections.abc import Iterable
from typing import Final

from unspool.definitions import errors
from unspool.definitions.errors import WorkflowError
from unspool.eventstore.settings import BadSetting
from unspool.executor.settings import ExecutorSettings

PROCESSES: Final = ("shell", "script", "container")
"""The kinds of processes that can be allowed."""

NONE: Final = "none"
"""Allows nothing; for programs that allow everything by default."""


class UnknownKind(ValueError):
    """A list names something else than kinds of processes."""


def allowed(settings: ExecutorSettings) -> frozenset[str]:
    """Returns the kinds of processes that the settings allow.

    Raises:
        BadSetting: `UNSPOOL_ALLOW` names something else.
    """
    try:
        kinds = parsed(settings.allow)
    except UnknownKind as error:
        raise BadSetting(f"UNSPOOL_ALLOW {error}") from None
    return kinds | {"shell"} if settings.allow_shell else kinds


def parsed(text: str) -> frozenset[str]:
    """Returns the kinds in a list such as `shell, script`. Raises `UnknownKind`."""
    named = {name.strip() for name in text.split(",")} - {"", NONE}
    if unknown := sorted(named - {*PROCESSES}):
        raise UnknownKind(f"must list {_listed(PROCESSES)}, not {unknown[0]!r}")
    return frozenset(named)


def not_allowed(kind: str) -> WorkflowError:
    """Returns the error of a task whose kind of process is not allowed."""
    return errors.authorization(
        f"`run: {kind}` is not allowed on this executor; its operator can allow it "
        f"with UNSPOOL_ALLOW={kind} or --allow {kind}"
    )


def _listed(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}"
