"""`fork`: branches side by side, all of them or the first to complete (inventory I16-I22)."""

from collections.abc import Mapping

from unspool.definitions import errors
from unspool.definitions.errors import WorkflowError
from unspool.definitions.expressions import LimitExceeded
from unspool.definitions.json_value import Json
from unspool.definitions.plan import Directive
from unspool.definitions.tasks.fork import Fork
from unspool.worker.interpreter.flow import cancel_children, complete, create, fail
from unspool.worker.interpreter.kind import Kind
from unspool.worker.interpreter.state import Branches, Run
from unspool.worker.interpreter.turn import Ended, Fault, Turn


class ForkBehaviour(Kind):
    """Runs branches at once."""

    def begin(self, turn: Turn, run: Run, body: Fork) -> None:
        """Creates every branch, each with the fork's input."""
        for task in body.branches.tasks:
            create(turn, task, run, {"branch": task.index})
        if not body.branches.tasks:
            complete(turn, run, [])

    def child_completed(self, turn: Turn, run: Run, body: Fork, child: Ended) -> None:
        """A branch is done: it wins the race, or its output takes its place among the others'."""
        outputs = run.progress.outputs if isinstance(run.progress, Branches) else {}
        if child.directive == Directive.END or body.compete:
            cancel_children(turn, run)
            complete(turn, run, child.output, Directive.END if child.directive == Directive.END else None)
        elif len(outputs) == len(body.branches.tasks):
            complete(turn, run, _joined(turn, outputs))

    def child_faulted(self, turn: Turn, run: Run, body: Fork, child: Ended, error: WorkflowError) -> None:
        """A faulted branch faults the fork; in a race only the last one does (inventory I18)."""
        if not body.compete or not turn.state.children(run.id):
            fail(turn, run, error)


def _joined(turn: Turn, outputs: Mapping[int, Json]) -> list[Json]:
    """The branches' outputs in the order of declaration. Raises `Fault` if they are too much together."""
    joined = [outputs[place] for place in range(len(outputs))]
    try:
        turn.take_in(joined)
    except LimitExceeded as error:
        raise Fault(errors.runtime(f"the outputs of the branches: {error}")) from error
    return joined
