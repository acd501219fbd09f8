"""The plan: a compiled definition. It is immutable.

Expressions are closures or jq programs, names are resolved, and tasks know their pointer and their index in
their list.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Protocol

from unspool.definitions.data_schema import DataSchema
from unspool.definitions.durations import Duration
from unspool.definitions.evaluable import Evaluable
from unspool.definitions.json_value import Json
from unspool.definitions.resource import ResourceReference


class Directive(StrEnum):
    """The flow directives that are not names of tasks (dsl-reference.md, "Flow Directive")."""

    CONTINUE = "continue"
    EXIT = "exit"
    END = "end"


@dataclass(frozen=True, slots=True)
class DataStep:
    """One step of the data flow: an `input`, `output` or `export` with its transformation and its schema."""

    transform: Evaluable | None = None
    schema: DataSchema | ResourceReference | None = None


IDENTITY: Final = DataStep()


@dataclass(frozen=True, slots=True)
class DurationTemplate:
    """A duration in a definition: a constant, or an expression that returns one."""

    constant: Duration
    expression: Evaluable | None = None
    """If it is set, its value is used instead of the constant."""


class Body(Protocol):
    """The part of a task that depends on its kind; the classes are in `unspool.definitions.tasks`.

    A body that needs external resources has them in `resources`, a tuple of `ResourceReference`.
    """


def resources_of(body: Body, *steps: DataStep) -> tuple[ResourceReference, ...]:
    """Returns the resources that a task needs: schemas of its data, and those of its kind."""
    schemas = tuple(step.schema for step in steps if isinstance(step.schema, ResourceReference))
    own: tuple[ResourceReference, ...] = getattr(body, "resources", ())
    return schemas + own


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task, with the members that all kinds share (dsl-reference.md, "Task")."""

    name: str
    pointer: str
    """JSON pointer in the definition. It identifies the task."""
    scope: str
    """Pointer of the list that holds it."""
    index: int
    """Index in that list."""
    definition: Mapping[str, Json]
    """As the author wrote it (`$task.definition`)."""
    body: Body
    condition: Evaluable | None = None
    input: DataStep = IDENTITY
    output: DataStep = IDENTITY
    export: DataStep = IDENTITY
    timeout: DurationTemplate | None = None
    then: str = Directive.CONTINUE
    extensions: tuple[str, ...] = ()
    """Pointers of the extensions that extend tasks of its kind, in the order of declaration."""
    resources: tuple[ResourceReference, ...] = ()
    """What must be fetched before it starts."""


@dataclass(frozen=True, slots=True)
class TaskList:
    """Tasks in the order of declaration: the scope of flow directives."""

    pointer: str
    tasks: tuple[Task, ...]
    by_name: Mapping[str, Task]

    @classmethod
    def of(cls, pointer: str, tasks: tuple[Task, ...]) -> "TaskList":
        """Returns a list with an index by name."""
        return cls(pointer, tasks, MappingProxyType({task.name: task for task in tasks}))

    @property
    def first(self) -> Task | None:
        """The first task, or None if the list is empty."""
        return self.tasks[0] if self.tasks else None

    def after(self, task: Task, directive: str) -> Task | None:
        """Returns the next task in this list; None if the list is done (inventory H1-H8)."""
        if directive == Directive.CONTINUE:
            following = task.index + 1
            return self.tasks[following] if following < len(self.tasks) else None
        return self.by_name.get(directive)


@dataclass(frozen=True, slots=True)
class Extension:
    """Tasks that run before and after the tasks of a kind (dsl-reference.md, "Extension")."""

    when: Evaluable | None
    before: TaskList
    after: TaskList


@dataclass(frozen=True, slots=True)
class FetchedFunction:
    """A function from an external resource."""

    pointer: str
    """The pointer of its task: as if it were declared in `use.functions`, by its address."""
    tasks: Mapping[str, Task]
    guarded: bool


@dataclass(frozen=True, slots=True)
class FetchedSchema:
    """A schema from an external resource."""

    schema: DataSchema


@dataclass(frozen=True, slots=True)
class Unusable:
    """An external resource that cannot be used."""

    cause: str


Fetched = FetchedFunction | FetchedSchema | Unusable

FetchedByHash = Mapping[tuple[str, str], Fetched]
"""External resources by key and hash. An execution can have fetched an unusable text and then another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A compiled definition."""

    namespace: str
    name: str
    version: str
    definition: Mapping[str, Json]
    """The parsed document (`$workflow.definition`)."""
    tasks: Mapping[str, Task]
    """Every task by its pointer. The empty pointer is the workflow itself, as a `do` task."""
    extensions: Mapping[str, Extension]
    """The extensions by their pointers."""
    guarded: bool
    """Whether its expressions may call jq processes. Then decisions block, and run in a thread."""
    needs_resources: bool = False
    """Whether a task needs external resources."""
    tags: Mapping[str, Evaluable] = field(default_factory=dict)
    """The values of tags of its executions, by name, evaluated on the context."""
    resources: FetchedByHash = field(default_factory=dict)
    """Those that the execution has fetched. They are not a part of the definition."""

    @property
    def root(self) -> Task:
        """The workflow as a task."""
        return self.tasks[""]

    def with_resources(self, fetched: FetchedByHash) -> "Plan":
        """Returns the plan for an execution that has fetched these resources."""
        functions = [each for each in fetched.values() if isinstance(each, FetchedFunction)]
        if not functions:
            return replace(self, resources=fetched)
        tasks = {**self.tasks}
        for function in functions:
            tasks |= function.tasks
        guarded = self.guarded or any(function.guarded for function in functions)
        return replace(self, tasks=MappingProxyType(tasks), resources=fetched, guarded=guarded)
