"""`run: workflow`: starts another execution and can wait for it (inventory I62, I63).

Whether the workflow can start is known after the decision. If it cannot, a task that waits gets the error
as the end of the sub-workflow. A task that does not wait would have completed by then. So the messages are
decided again, and `refused` tells the error.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from unspool.definitions import errors
from unspool.definitions.errors import WorkflowError
from unspool.definitions.json_value import Json
from unspool.definitions.plan import Plan
from unspool.definitions.tasks.run_workflow import RunWorkflow
from unspool.eventstore.events import Event
from unspool.eventstore.records import WorkflowRef
from unspool.worker.interpreter.decision_builder import DecisionBuilder, Fault
from unspool.worker.interpreter.flow import INPUT, complete
from unspool.worker.interpreter.kind import Kind
from unspool.worker.interpreter.refusals import Refused
from unspool.worker.interpreter.run import Run
from unspool.worker.interpreter.scope import Scope

UNKNOWN: Final = "Unknown workflow"
TOO_DEEP: Final = "Too deep"
NO_KEY: Final = "No idempotency key"
"""Titles of the errors of sub-workflows that cannot start."""

_KINDS: Final = {
    UNKNOWN: errors.configuration,
    TOO_DEEP: errors.configuration,
    NO_KEY: errors.expression,
}
"""Their errors."""


class RunWorkflowInterpreter(Kind):
    """Starts a sub-workflow; the result arrives as a message."""

    def begin(self, builder: DecisionBuilder, run: Run, body: RunWorkflow) -> None:
        """Starts it. If it is not awaited, completes with the input, or faults if it cannot start."""
        given = run.input if body.input is None else Scope(builder, run).evaluate(body.input, run.input)
        workflow = WorkflowRef(body.namespace, body.name, body.version)
        if not body.awaited and (error := builder.refused(run, workflow, given)) is not None:
            raise Fault(error)
        builder.start_child(run, workflow, given)
        if not body.awaited:
            complete(builder, run, INPUT)

    def answered(self, builder: DecisionBuilder, run: Run, body: RunWorkflow, output: Json) -> None:
        """Completes with the output of the sub-workflow."""
        complete(builder, run, None if body.returns_nothing else output)


def refused_in(plan: Plan, events: Iterable[Event]) -> Refused:
    """Tells which sub-workflows could not start, by the events of a decision."""
    refused = {}
    for event in events:
        task = plan.tasks.get(event.task or "") if event.type == "task.faulted" else None
        if task is None or not isinstance(task.body, RunWorkflow) or task.body.awaited:
            continue
        error = event.data["error"]
        kind = _KINDS.get(error.get("title"))
        if kind is not None:
            refused[event.run] = kind(error["detail"], error["title"])
    return lambda run, _workflow, _input: refused.get(run.id)


def error_of_child(builder: DecisionBuilder, run: Run, ended: dict[str, Json]) -> WorkflowError:
    """The error of a task whose sub-workflow faulted or was cancelled. It names the sub-workflow."""
    body = builder.task_of(run).body
    named = "sub-workflow"
    if isinstance(body, RunWorkflow):
        named = f"sub-workflow {body.namespace}/{body.name}"
        if ended.get("started", True):
            named += f", execution {run.joined or run.child}"
    if "error" not in ended:
        return errors.runtime(f"the {named} was {ended['status']}", title="Sub-workflow cancelled").at(
            run.task
        )
    error = WorkflowError.from_json(ended["error"])
    detail = error.detail or error.title or error.type
    return replace(error, detail=f"{detail} ({named})", instance=run.task)
