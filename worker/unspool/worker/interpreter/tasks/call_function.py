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

MAX_RUNS: Final = 128
"""Maximum depth of the tasks around a call.

A fault can go through all of them at once, with at most four Python calls for each. Python limits the depth
of calls to 1000. The function, and an extension of a task in it, add at most 32 levels each: no
definition can be nested deeper.
"""


class CallFunctionInterpreter(Kind):
    """Runs the task of a function."""

    def begin(self, builder: DecisionBuilder, run: Run, body: Call) -> None:
        """Creates a run of the function's task; the arguments are its raw input."""
        _check_depth(builder, run, body)
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


def _check_depth(builder: DecisionBuilder, run: Run, body: Call) -> None:
    """Raises `Fault` if too many calls or tasks are around a call, itself included."""
    calls, runs, current = 0, 0, run
    while current.parent is not None:
        calls += isinstance(builder.task_of(current).body, Call)
        runs += 1
        current = builder.run(current.parent)
    if calls > MAX_DEPTH:
        raise _too_deep(body, f"{MAX_DEPTH} other calls")
    if runs > MAX_RUNS:
        raise _too_deep(body, f"{MAX_RUNS} other tasks")


def _too_deep(body: Call, limit: str) -> Fault:
    detail = f"the function '{body.name}' is called within more than {limit}"
    return Fault(errors.runtime(detail, title="Calls nested too deeply"))
