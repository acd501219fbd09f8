"""`fork`: branches side by side (dsl-reference.md, "Fork")."""

from dataclasses import dataclass

from unspool.definitions.json_value import Json
from unspool.definitions.plan import TaskList
from unspool.definitions.site import Site


@dataclass(frozen=True, slots=True)
class Fork:
    """Branches, and whether they race."""

    branches: TaskList
    compete: bool


def compile_fork(task: dict[str, Json], site: Site) -> Fork:
    """Reads a `fork` task."""
    fork = task["fork"]
    return Fork(site.task_list(fork["branches"], "fork", "branches"), fork.get("compete", False))
