"""How far a run has come with its extensions: their `before` lists, its own work, their `after` lists."""

from __future__ import annotations  # a method returns the class that it is in

from enum import StrEnum
from typing import NamedTuple

from unspool.definitions.json_value import Json


class Stage(StrEnum):
    """Which lists of the extensions run."""

    BEFORE = "before"
    AFTER = "after"


class Result(NamedTuple):
    """What a run completes with when its `after` lists have ended."""

    output: Json
    """Transformed output."""
    raw_output: Json
    then: str | None = None
    """Where it leads, if not where the task's `then` does."""


class Extended(NamedTuple):
    """The extensions of a run."""

    extensions: tuple[str, ...]
    """Pointers of those that apply, in the order of declaration."""
    current: str | None = None
    """The extension whose list runs; None during the task's own work."""
    result: Result | None = None
    """The result of the task's own work; None until it has one."""

    @property
    def stage(self) -> Stage | None:
        """The list that runs; None during the task's own work."""
        if self.current is None:
            return None
        return Stage.BEFORE if self.result is None else Stage.AFTER

    @property
    def place(self) -> int:
        """Index of the extension whose list runs. Raises `ValueError` if none does."""
        return self.extensions.index(self.current or "")

    def left(self, *, bypassed: bool) -> Extended:
        """Returns this after a list. An extension that bypasses the task bypasses the later ones as well."""
        if bypassed:
            return Extended(self.extensions[: self.place + 1])
        return self._replace(current=None)
