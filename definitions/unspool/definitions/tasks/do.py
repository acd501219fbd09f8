"""`do`: tasks in sequence (dsl-reference.md, "Do")."""

from dataclasses import dataclass

from unspool.definitions.compilation import Site
from unspool.definitions.plan import Json, TaskList


@dataclass(frozen=True, slots=True)
class Do:
    """A list of tasks."""

    tasks: TaskList


def compile_do(task: dict[str, Json], site: Site) -> Do:
    """Reads a `do` task."""
    return Do(site.task_list(task["do"], "do"))
