"""`fork`: runs branches at once; waits for all, or for the first to complete (inventory I16-I22)."""

from collections.abc import Mapping

from unspool.definitions import errors
from unspool.definitions.errors import WorkflowError
from unspool.definitions.expressions import LimitExceeded
from unspool.definitions.json_value import Json
from unspool.definitions.plan import Directive
from unspool.definitions.tasks.fork import Fork
from unspool.worker.interpreter.decision_builder import DecisionBuilder, Ended, Fault
from unspool.worker.interpreter.flow import cancel_children, complete, create, fail
from unspool.worker.interpreter.kind import Kind
from unspool.worker.interpreter.run import Branches, Run


class ForkInterpreter(Kind):
    """Runs branches at once."""

    def begin(self, builder: DecisionBuilder, run: Run, body: Fork) -> None:
        """Creates every branch, each with the fork's input."""
        for task in body.branches.tasks:
            create(builder, task, run, {"branch": task.index})
        if not body.branches.tasks:
            complete(builder, run, [])

    def child_completed(self, builder: DecisionBuilder, run: Run, body: Fork, child: Ended) -> None:
        """Completes with the output of the first branch (`compete`), or with all outputs after the last."""
        outputs = run.progress.outputs if isinstance(run.progress, Branches) else {}
        if child.directive == Directive.END or body.compete:
            cancel_children(builder, run)
            complete(builder, run, child.output, Directive.END if child.directive == Directive.END else None)
        elif len(outputs) == len(body.branches.tasks):
            complete(builder, run, _joined(builder, outputs))

    def child_faulted(
        self, builder: DecisionBuilder, run: Run, body: Fork, child: Ended, error: WorkflowError
    ) -> None:
        """Faults if a branch faults; with `compete`, only if all branches have faulted (inventory I18)."""
        if not body.compete or not builder.state.has_children(run.id):
            fail(builder, run, error)


def _joined(builder: DecisionBuilder, outputs: Mapping[int, Json]) -> list[Json]:
    """The outputs of all branches in the order of declaration. Raises `Fault` if their sum is too large."""
    joined = [outputs[place] for place in range(len(outputs))]
    try:
        builder.add_size_of(joined)
    except LimitExceeded as error:
        raise Fault(errors.runtime(f"the outputs of the branches: {error}")) from error
    return joined
