"""`do`: tasks in sequence (dsl-reference.md, "Do")."""

from dataclasses import dataclass

from unspool.definitions.json_value import Json
from unspool.definitions.plan import TaskList
from unspool.definitions.site import Site


@dataclass(frozen=True, slots=True)
class Do:
    """A list of tasks."""

    tasks: TaskList


def compile_do(task: dict[str, Json], site: Site) -> Do:
    """Reads a `do` task."""
    return Do(site.task_list(task["do"], "do"))
