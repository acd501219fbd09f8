"""`run: container` (dsl-reference.md, "Container Process")."""

from typing import Any, Final

from unspool.definitions.compile_context import CompileContext
from unspool.definitions.tasks.request import Request
from unspool.definitions.tasks.run_process import compile_process

KIND: Final = "container"

_WORKFLOW: Final = {name: f"${{ $workflow.definition.document.{name} }}" for name in ("namespace", "name")}
"""The workflow, whose name is a part of the container's name (inventory I59)."""


def compile_container(task: dict[str, Any], context: CompileContext) -> Request:
    """Compiles a `run: container` task."""
    container = task["run"]["container"]
    named = {} if "name" in container else {"workflow": _WORKFLOW}
    return compile_process(KIND, task, {**container, **named}, context)
