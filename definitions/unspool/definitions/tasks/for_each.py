"""`for`: tasks repeated over a collection, one at a time or side by side (dsl-reference.md, "For")."""

from dataclasses import dataclass
from typing import Any, Final

from unspool.definitions.compile_context import CompileContext
from unspool.definitions.evaluable import Evaluable
from unspool.definitions.json_value import Json
from unspool.definitions.plan import TaskList

MAX_CONCURRENCY: Final = 1_000
"""The most iterations of one loop that run at once."""


@dataclass(frozen=True, slots=True)
class For:
    """The collection, the names of the variables, and the tasks that run for each item."""

    each: str
    at: str
    collection: Evaluable
    condition: Evaluable | None
    """`while`: evaluated before each iteration (inventory I11)."""
    tasks: TaskList


@dataclass(frozen=True, slots=True)
class ParallelFor:
    """A loop whose iterations run side by side (`metadata.unspool.concurrency`)."""

    each: str
    at: str
    collection: Evaluable
    tasks: TaskList
    concurrency: int
    """The most iterations that run at once."""


def compile_for(task: dict[str, Json], context: CompileContext) -> For | ParallelFor:
    """Compiles a `for` task. The strings of an inline array are templates (inventory I8)."""
    loop = task["for"]
    each, at = loop.get("each", "item"), loop.get("at", "index")
    collection = context.transformation(loop["in"])
    tasks = context.task_list(task["do"], "do")
    concurrency = written_concurrency(task)
    # A definition that was stored before the mark had a meaning may have anything here.
    if is_concurrency(concurrency) and "while" not in task:
        return ParallelFor(each, at, collection, tasks, concurrency)
    return For(each, at, collection, context.condition(task.get("while")), tasks)


def written_concurrency(task: dict[str, Json]) -> Any:
    """Returns `metadata.unspool.concurrency` of a task as it is written; None without it."""
    value: Any = task
    for member in ("metadata", "unspool", "concurrency"):
        value = value.get(member) if isinstance(value, dict) else None
    return value


def is_concurrency(value: Any) -> bool:
    """Returns whether a value is a valid concurrency."""
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_CONCURRENCY
