"""The plan: a definition, typed, linked and compiled once, immutable ever after.

Expressions are closures or jq programs, names are resolved, tasks know their pointer and their place in
their list. Interpreting is then a matter of looking things up.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Protocol

from unspool.definitions.data_schema import DataSchema
from unspool.definitions.durations import Duration
from unspool.definitions.expressions import Budget
from unspool.definitions.json_value import Json


class Evaluable(Protocol):
    """An expression or a template: something evaluated on a value, with arguments by name."""

    @property
    def variables(self) -> frozenset[str]:
        """The arguments it reads, without `$`."""

    def evaluate_within(self, value: Json, variables: Mapping[str, Json], budget: Budget) -> Json:
        """Its value, at the expense of an allowance of work. Raises `ExpressionError`."""


class Directive(StrEnum):
    """Flow directives that name no task (dsl-reference.md, "Flow Directive")."""

    CONTINUE = "continue"
    EXIT = "exit"
    END = "end"


@dataclass(frozen=True, slots=True)
class DataStep:
    """One step of the data flow: an `input`, `output` or `export` with its transformation and its schema."""

    transform: Evaluable | None = None
    schema: DataSchema | None = None


IDENTITY: Final = DataStep()


@dataclass(frozen=True, slots=True)
class DurationTemplate:
    """A duration as written: a constant, or an expression that gives one."""

    constant: Duration
    expression: Evaluable | None = None
    """Its value counts in place of the constant."""


class Body(Protocol):
    """What a task does, by kind; the classes are in `unspool.definitions.tasks`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task with the members that all kinds share (dsl-reference.md, "Task")."""

    name: str
    pointer: str
    """JSON pointer in the definition: the task's identity."""
    scope: str
    """Pointer of the list it stands in."""
    index: int
    """Place in that list."""
    definition: Mapping[str, Json]
    """As the author wrote it (`$task.definition`)."""
    body: Body
    condition: Evaluable | None = None
    input: DataStep = IDENTITY
    output: DataStep = IDENTITY
    export: DataStep = IDENTITY
    timeout: DurationTemplate | None = None
    then: str = Directive.CONTINUE


@dataclass(frozen=True, slots=True)
class TaskList:
    """Tasks in declaration order: the scope of flow directives."""

    pointer: str
    tasks: tuple[Task, ...]
    by_name: Mapping[str, Task]

    @classmethod
    def of(cls, pointer: str, tasks: tuple[Task, ...]) -> "TaskList":
        """A list with its index of names."""
        return cls(pointer, tasks, MappingProxyType({task.name: task for task in tasks}))

    @property
    def first(self) -> Task | None:
        """The task a scope begins with."""
        return self.tasks[0] if self.tasks else None

    def after(self, task: Task, directive: str) -> Task | None:
        """Where a completed task leads within this list; None if the list is done (inventory H1-H8)."""
        if directive == Directive.CONTINUE:
            following = task.index + 1
            return self.tasks[following] if following < len(self.tasks) else None
        return self.by_name.get(directive)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A compiled definition."""

    namespace: str
    name: str
    version: str
    definition: Mapping[str, Json]
    """The parsed document (`$workflow.definition`)."""
    tasks: Mapping[str, Task]
    """Every task by its pointer; under the empty pointer the workflow itself, a `do` around all."""
    guarded: bool
    """Whether interpreting it may block on jq children; then it belongs on a thread."""

    @property
    def root(self) -> Task:
        """The workflow as a task."""
        return self.tasks[""]
