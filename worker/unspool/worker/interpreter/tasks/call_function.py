"""`call` of a function: its task runs inside the call, with its own data flow (inventory B5, B10, J4)."""

from dataclasses import replace
from typing import Final

from unspool.definitions import errors
from unspool.definitions.errors import WorkflowError
from unspool.definitions.plan import Directive
from unspool.definitions.tasks.call_function import CallFunction
from unspool.worker.interpreter.decision_builder import DecisionBuilder, Ended, Fault
from unspool.worker.interpreter.flow import complete, create, fail
from unspool.worker.interpreter.kind import Kind
from unspool.worker.interpreter.scope import Scope
from unspool.worker.interpreter.state import Run

MAX_DEPTH: Final = 32
"""Maximum depth of nested calls."""


class CallFunctionInterpreter(Kind):
    """Runs the task of a function."""

    def begin(self, builder: DecisionBuilder, run: Run, body: CallFunction) -> None:
        """Creates a run of the function's task; the arguments are its raw input."""
        if _depth(builder, run) > MAX_DEPTH:
            detail = f"the function '{body.name}' is called within more than {MAX_DEPTH} other calls"
            raise Fault(errors.runtime(detail, title="Calls nested too deeply"))
        data = {}
        if body.arguments is not None:
            data["arguments"] = Scope(builder, run).evaluate(body.arguments, run.input)
        create(builder, builder.plan.tasks[body.task], run, data)

    def child_completed(self, builder: DecisionBuilder, run: Run, body: CallFunction, child: Ended) -> None:
        """Completes with the output of the function; `end` also ends the runs around it (inventory H3)."""
        complete(builder, run, child.output, Directive.END if child.directive == Directive.END else None)

    def child_faulted(
        self, builder: DecisionBuilder, run: Run, body: CallFunction, child: Ended, error: WorkflowError
    ) -> None:
        """Faults with the error of the function; the place of its error is the call (inventory O4)."""
        inside = error.instance == body.task or (error.instance or "").startswith(f"{body.task}/")
        fail(builder, run, replace(error, instance=run.task) if inside else error)


def _depth(builder: DecisionBuilder, run: Run) -> int:
    """The number of function calls around this run, this one included."""
    depth, current = 0, run
    while current.parent is not None:
        depth += isinstance(builder.task_of(current).body, CallFunction)
        current = builder.run(current.parent)
    return depth
