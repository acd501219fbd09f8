"""`for`: tasks repeated over a collection (dsl-reference.md, "For")."""

from dataclasses import dataclass

from unspool.definitions.compile_context import CompileContext
from unspool.definitions.json_value import Json
from unspool.definitions.plan import Evaluable, TaskList


@dataclass(frozen=True, slots=True)
class For:
    """The collection, the names of the variables, and the tasks that run for each item."""

    each: str
    at: str
    collection: Evaluable
    condition: Evaluable | None
    """`while`: evaluated before each iteration (inventory I11)."""
    tasks: TaskList


def compile_for(task: dict[str, Json], context: CompileContext) -> For:
    """Compiles a `for` task. The strings of an inline array are templates (inventory I8)."""
    loop = task["for"]
    return For(
        each=loop.get("each", "item"),
        at=loop.get("at", "index"),
        collection=context.transformation(loop["in"]),
        condition=context.condition(task.get("while")),
        tasks=context.task_list(task["do"], "do"),
    )
