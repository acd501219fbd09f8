"""`for`: tasks repeated over a collection (dsl-reference.md, "For")."""

from dataclasses import dataclass

from unspool.definitions.json_value import Json
from unspool.definitions.plan import Evaluable, TaskList
from unspool.definitions.site import Site


@dataclass(frozen=True, slots=True)
class For:
    """What is enumerated, under which names, and what is done with each item."""

    each: str
    at: str
    collection: Evaluable
    condition: Evaluable | None
    """`while`: evaluated before each iteration (inventory I11)."""
    tasks: TaskList


def compile_for(task: dict[str, Json], site: Site) -> For:
    """Reads a `for` task; an inline array's strings are templates (inventory I8)."""
    loop = task["for"]
    return For(
        each=loop.get("each", "item"),
        at=loop.get("at", "index"),
        collection=site.transformation(loop["in"]),
        condition=site.condition(task.get("while")),
        tasks=site.task_list(task["do"], "do"),
    )
