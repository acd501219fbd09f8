"""`run: shell` (dsl-reference.md, "Shell Process")."""

from typing import Any, Final

from unspool.definitions.compile_context import CompileContext
from unspool.definitions.tasks.queues import SHELL_QUEUE
from unspool.definitions.tasks.request import Request
from unspool.definitions.tasks.run_process import compile_process

KIND: Final = SHELL_QUEUE


def compile_shell(task: dict[str, Any], context: CompileContext) -> Request:
    """Compiles a `run: shell` task."""
    return compile_process(KIND, task, task["run"]["shell"], context)
