"""`call` of a function: its task runs inside the call, with its own data flow (B5, B10, J4, J24)."""

from dataclasses import replace
from typing import Final, TypeAlias

from unspool.definitions import errors
from unspool.definitions.errors import WorkflowError
from unspool.definitions.plan import Directive
from unspool.definitions.tasks.call_function import CallExternalFunction, CallFunction
from unspool.worker.interpreter.decision_builder import DecisionBuilder, Ended, Fault
from unspool.worker.interpreter.flow import complete, create, fail
from unspool.worker.interpreter.kind import Kind
from unspool.worker.interpreter.resources import function_of
from unspool.worker.interpreter.run import Run
from unspool.worker.interpreter.scope import Scope

Call: TypeAlias = CallFunction | CallExternalFunction

MAX_DEPTH: Final = 32
"""Maximum depth of nested calls."""


class CallFunctionInterpreter(Kind):
    """Runs the task of a function."""

    def begin(self, builder: DecisionBuilder, run: Run, body: Call) -> None:
        """Creates a run of the function's task; the arguments are its raw input."""
        if _depth(builder, run) > MAX_DEPTH:
            detail = f"the function '{body.name}' is called within more than {MAX_DEPTH} other calls"
            raise Fault(errors.runtime(detail, title="Calls nested too deeply"))
        data = {}
        if body.arguments is not None:
            data["arguments"] = Scope(builder, run).evaluate(body.arguments, run.input)
        if isinstance(body, CallFunction):
            pointer = body.task
        else:
            pointer = function_of(builder, run, body.reference).pointer
        create(builder, builder.plan.tasks[pointer], run, data)

    def child_completed(self, builder: DecisionBuilder, run: Run, body: Call, child: Ended) -> None:
        """Completes with the output of the function; `end` also ends the runs around it (inventory H3)."""
        complete(builder, run, child.output, Directive.END if child.directive == Directive.END else None)

    def child_faulted(
        self, builder: DecisionBuilder, run: Run, body: Call, child: Ended, error: WorkflowError
    ) -> None:
        """Faults with the error of the function; the place of its error is the call (inventory O4)."""
        place, function = error.instance or "", child.task.pointer
        inside = place == function or place.startswith(f"{function}/")
        fail(builder, run, replace(error, instance=run.task) if inside else error)


def _depth(builder: DecisionBuilder, run: Run) -> int:
    """The number of function calls around this run, this one included."""
    depth, current = 0, run
    while current.parent is not None:
        depth += isinstance(builder.task_of(current).body, Call)
        current = builder.run(current.parent)
    return depth
