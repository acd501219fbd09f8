"""The parts of an outline. They are immutable."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Role(StrEnum):
    """What a list of tasks is to the task that has it."""

    WORKFLOW = "workflow"
    DO = "do"
    LOOP = "loop"
    """It runs once for each item, event or message."""
    BRANCHES = "branches"
    """Its tasks run side by side."""
    TRY = "try"
    CATCH = "catch"
    BEFORE = "before"
    AFTER = "after"
    FUNCTION = "function"


@dataclass(frozen=True, slots=True)
class Route:
    """Where the flow can go after a task."""

    directive: str
    """A flow directive: `continue`, `exit`, `end`, or the name of a task in the same list."""
    case: int | None = None
    """Place of the case of a `switch` that leads there."""
    skipped: bool = False
    """Whether the flow goes there because the `if` of the task does not hold."""
    caught: bool = False
    """Whether the flow goes there after a caught error."""


@dataclass(frozen=True, slots=True)
class Case:
    """A case of a `switch`."""

    name: str
    condition: str
    """Empty for the default case."""

    @property
    def when(self) -> str:
        """The condition for readers; empty if the name says it."""
        return self.condition or ("" if self.name.lower() == "default" else "default")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOutline:
    """A task."""

    pointer: str
    name: str
    kind: str
    """The keyword of the DSL, such as `for` or `call`."""
    variant: str
    """The kind more exactly, such as `http` for `call: http`. Selects icon and colour."""
    label: str
    """The kind for readers, such as `call http`."""
    summary: str = ""
    """What it does in a few words, such as the address that it calls."""
    notes: tuple[str, ...] = ()
    """Conditions and limits: `if`, `while`, `timeout`."""
    cases: tuple[Case, ...] = ()
    routes: tuple[Route, ...]
    lists: tuple["ListOutline", ...] = ()
    extended: bool = False
    """Whether extensions apply to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOutline:
    """A list of tasks."""

    pointer: str
    role: Role
    title: str = ""
    notes: tuple[str, ...] = ()
    tasks: tuple[TaskOutline, ...]
    goes_on: bool = True
    """Whether the flow continues after it as after its task. That of a `catch` can lead elsewhere."""
    _places: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        places = {task.name: place for place, task in enumerate(self.tasks)}
        object.__setattr__(self, "_places", places)

    def target(self, directive: str, place: int) -> int | None:
        """Returns the place of the task that a directive leads to; None if it leads out of the list."""
        if directive == "continue":
            return place + 1 if place + 1 < len(self.tasks) else None
        return self._places.get(directive)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A function or an extension: tasks that run elsewhere in the workflow."""

    pointer: str
    kind: str
    """`function` or `extension`."""
    name: str
    summary: str
    notes: tuple[str, ...] = ()
    lists: tuple[ListOutline, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """A workflow."""

    namespace: str
    name: str
    version: str
    title: str
    schedule: str
    """When it starts by itself; empty without a schedule."""
    schedule_kind: str
    """`every`, `cron`, `after`, `on`; empty without a schedule."""
    notes: tuple[str, ...]
    tasks: ListOutline
    sections: tuple[Section, ...]
