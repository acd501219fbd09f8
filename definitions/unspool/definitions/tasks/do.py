"""`do`: tasks in sequence (dsl-reference.md, "Do")."""

from dataclasses import dataclass

from unspool.definitions.compile_context import CompileContext
from unspool.definitions.json_value import Json
from unspool.definitions.plan import TaskList


@dataclass(frozen=True, slots=True)
class Do:
    """A list of tasks."""

    tasks: TaskList


def compile_do(task: dict[str, Json], context: CompileContext) -> Do:
    """Compiles a `do` task."""
    return Do(context.task_list(task["do"], "do"))
