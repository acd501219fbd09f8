"""`run: workflow`: starts another execution and can wait for it (inventory I62, I63)."""

from dataclasses import replace

from unspool.definitions import errors
from unspool.definitions.errors import WorkflowError
from unspool.definitions.json_value import Json
from unspool.definitions.tasks.run_workflow import RunWorkflow
from unspool.eventstore.records import WorkflowRef
from unspool.worker.interpreter.decision_builder import DecisionBuilder
from unspool.worker.interpreter.flow import INPUT, complete
from unspool.worker.interpreter.kind import Kind
from unspool.worker.interpreter.scope import Scope
from unspool.worker.interpreter.state import Run


class RunWorkflowInterpreter(Kind):
    """Starts a sub-workflow; the result arrives as a message."""

    def begin(self, builder: DecisionBuilder, run: Run, body: RunWorkflow) -> None:
        """Starts it. If it is not awaited, completes with the input."""
        given = run.input if body.input is None else Scope(builder, run).evaluate(body.input, run.input)
        builder.start_child(run, WorkflowRef(body.namespace, body.name, body.version), given)
        if not body.awaited:
            complete(builder, run, INPUT)

    def answered(self, builder: DecisionBuilder, run: Run, body: RunWorkflow, output: Json) -> None:
        """Completes with the output of the sub-workflow."""
        complete(builder, run, None if body.returns_nothing else output)


def error_of_child(builder: DecisionBuilder, run: Run, ended: dict[str, Json]) -> WorkflowError:
    """The error of a task whose sub-workflow faulted or was cancelled. It names the sub-workflow."""
    body = builder.task_of(run).body
    named = "sub-workflow"
    if isinstance(body, RunWorkflow):
        named = f"sub-workflow {body.namespace}/{body.name}, execution {run.joined or run.child}"
    if "error" not in ended:
        return errors.runtime(f"the {named} was {ended['status']}", title="Sub-workflow cancelled").at(
            run.task
        )
    error = WorkflowError.from_json(ended["error"])
    detail = error.detail or error.title or error.type
    return replace(error, detail=f"{detail} ({named})", instance=run.task)
