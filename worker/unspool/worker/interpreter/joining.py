"""What happens when another execution joins this one: it has the idempotency key of its sub-workflow."""

from typing import Final

from unspool.definitions import errors
from unspool.definitions.errors import WorkflowError
from unspool.definitions.json_value import Json
from unspool.eventstore.records import MessageKind, Status
from unspool.worker.interpreter.circles import search
from unspool.worker.interpreter.decision_builder import DecisionBuilder
from unspool.worker.interpreter.state import State, Waiting

MAX_WAITING: Final = 10_000
"""The most executions that wait for one that they joined."""


def join(builder: DecisionBuilder, body: dict[str, Json]) -> None:
    """Lets an execution wait for the end of this one. It gets the result at once if this one has ended."""
    state, waiting = builder.state, Waiting(**body)
    parent = state.parent
    if parent is not None and waiting == (parent.execution, parent.run, state.execution):
        return  # it gets the result as the parent
    if state.status.ended:
        builder.send(waiting.execution, MessageKind.CHILD_ENDED, _result(state, waiting))
    elif (refusal := _refusal(state)) is not None:
        ended = {"run": waiting.run, "child": waiting.child, "status": Status.FAULTED.value}
        error = refusal.under(builder.error_base).to_json()
        builder.send(waiting.execution, MessageKind.CHILD_ENDED, {**ended, "error": error})
    elif waiting not in state.waiting:
        builder.emit("workflow.joined", None, body)
        search(builder, waiting)


def _refusal(state: State) -> WorkflowError | None:
    """Returns why no execution can wait for this one; None if one can."""
    if len(state.waiting) >= MAX_WAITING:
        detail = f"{MAX_WAITING} executions wait for execution {state.execution} already"
        return errors.runtime(detail, title="Too many executions wait")
    return None


def _result(state: State, waiting: Waiting) -> dict[str, Json]:
    """The `child.ended` message of an execution that has ended."""
    result = {"run": waiting.run, "child": waiting.child, "status": state.status.value}
    if state.status is Status.COMPLETED:
        result["output"] = state.output
    if state.status is Status.FAULTED:
        result["error"] = state.error
    return result
