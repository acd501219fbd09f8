"""`run: workflow` (dsl-reference.md, "Workflow Process")."""

from dataclasses import dataclass
from typing import Final

from unspool.definitions.compile_context import CompileContext
from unspool.definitions.evaluable import Evaluable
from unspool.definitions.json_value import Json

LATEST: Final = "latest"
"""The version that means the highest one (inventory A9)."""


@dataclass(frozen=True, slots=True)
class RunWorkflow:
    """The workflow to run, and whether to wait for it."""

    namespace: str
    name: str
    version: str
    """An exact version or `LATEST`."""
    input: Evaluable | None
    """The input of the sub-workflow; the task's transformed input if it is None (inventory I62)."""
    awaited: bool
    returns_nothing: bool
    """Whether the output of the task is null instead of that of the sub-workflow."""


def compile_run_workflow(task: dict[str, Json], context: CompileContext) -> RunWorkflow:
    """Compiles a `run: workflow` task."""
    run = task["run"]
    workflow = run["workflow"]
    return RunWorkflow(
        namespace=workflow["namespace"],
        name=workflow["name"],
        version=workflow.get("version", LATEST),
        input=context.template(workflow["input"]) if "input" in workflow else None,
        awaited=run.get("await", True),
        returns_nothing=run.get("return") == "none",
    )
