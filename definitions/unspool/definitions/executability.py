"""Finds the tasks of a definition that this release cannot execute."""

from unspool.definitions.compile import compile_plan
from unspool.definitions.document import Document
from unspool.definitions.expressions import ExpressionError, JqRunner
from unspool.definitions.problems import MAX_PROBLEMS, Problem, Severity
from unspool.definitions.tasks.request import Unsupported


def unsupported_tasks(document: Document, jq: JqRunner | None) -> tuple[Problem, ...]:
    """Returns a warning for each task at which an execution faults because this release cannot execute it.

    Args:
        document: a definition without errors.
        jq: runs the expressions that do not compile to closures.
    """
    try:
        plan = compile_plan(document.value, jq)
    except ExpressionError:
        return ()  # the check of expressions reports it
    found = {
        pointer: task.body.cause for pointer, task in plan.tasks.items() if isinstance(task.body, Unsupported)
    }
    warnings = (
        document.problem(pointer, f"{cause}; executions fault here", at_key=True, severity=Severity.WARNING)
        for pointer, cause in found.items()
    )
    return tuple(warnings)[:MAX_PROBLEMS]
