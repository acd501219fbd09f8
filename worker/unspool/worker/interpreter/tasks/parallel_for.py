"""`for` with `metadata.unspool.concurrency`: iterations side by side, at most `concurrency` at once."""

from unspool.definitions import errors
from unspool.definitions.expressions import MAX_JSON_SIZE, LimitExceeded
from unspool.definitions.json_value import Json
from unspool.definitions.plan import Directive
from unspool.definitions.tasks.for_each import ParallelFor
from unspool.worker.interpreter.decision_builder import DecisionBuilder, Ended, Fault
from unspool.worker.interpreter.flow import cancel_children, complete, create
from unspool.worker.interpreter.iterations import Iterations
from unspool.worker.interpreter.kind import InOrder
from unspool.worker.interpreter.run import Run
from unspool.worker.interpreter.tasks.for_each import evaluate_items


class ParallelForInterpreter(InOrder):
    """Runs a list of tasks for each item. A fault that no iteration catches faults the loop (`InOrder`)."""

    def begin(self, builder: DecisionBuilder, run: Run, body: ParallelFor) -> None:
        """Evaluates the collection, once, and begins as many iterations as may run at once."""
        items = evaluate_items(builder, run, body)
        first = body.tasks.first
        if first is None or not items:
            complete(builder, run, _bounded(builder, [run.input] * len(items)))
            return
        for place in range(min(body.concurrency, len(items))):
            create(builder, first, run, {"branch": place, **({"items": items} if place == 0 else {})})

    def child_completed(self, builder: DecisionBuilder, run: Run, body: ParallelFor, child: Ended) -> None:
        """Continues the iteration; `end` cancels the others and ends the runs around (inventory H3)."""
        if child.directive == Directive.END:
            cancel_children(builder, run)
            complete(builder, run, child.output, Directive.END)
            return
        following = body.tasks.after(child.task, child.directive)
        if following is None:
            self.done(builder, run, body, child)
        else:
            create(builder, following, run, {"branch": child.branch})

    def done(self, builder: DecisionBuilder, run: Run, body: ParallelFor, child: Ended) -> None:
        """Begins the next iteration after one has ended; completes the loop after the last one."""
        loop, first = run.progress, body.tasks.first
        assert isinstance(loop, Iterations)  # its tasks only run in iterations
        assert first is not None
        if loop.size > MAX_JSON_SIZE:
            raise _too_large(LimitExceeded(f"a value of more than {MAX_JSON_SIZE} characters"))
        if loop.begun < len(loop.items):
            create(builder, first, run, {"branch": loop.begun})
        elif len(loop.outputs) == len(loop.items):
            outputs = [loop.outputs[place] for place in range(len(loop.items))]
            complete(builder, run, _bounded(builder, outputs))


def _bounded(builder: DecisionBuilder, outputs: list[Json]) -> list[Json]:
    """Returns the outputs. Raises `Fault` if their sum is too large."""
    try:
        builder.add_size_of(outputs)
    except LimitExceeded as error:
        raise _too_large(error) from error
    return outputs


def _too_large(error: LimitExceeded) -> Fault:
    return Fault(errors.runtime(f"the outputs of the iterations: {error}"))
