"""`fork`: branches that run concurrently (dsl-reference.md, "Fork")."""

from dataclasses import dataclass

from unspool.definitions.compile_context import CompileContext
from unspool.definitions.json_value import Json
from unspool.definitions.plan import TaskList


@dataclass(frozen=True, slots=True)
class Fork:
    """Branches, and whether they compete."""

    branches: TaskList
    compete: bool


def compile_fork(task: dict[str, Json], context: CompileContext) -> Fork:
    """Compiles a `fork` task."""
    fork = task["fork"]
    return Fork(context.task_list(fork["branches"], "fork", "branches"), fork.get("compete", False))
