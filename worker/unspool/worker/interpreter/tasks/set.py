"""`set`: the value replaces the data (inventory F13, I2)."""

from unspool.definitions.tasks.set import Set
from unspool.worker.interpreter.decision_builder import DecisionBuilder
from unspool.worker.interpreter.flow import complete
from unspool.worker.interpreter.kind import Kind
from unspool.worker.interpreter.run import Run
from unspool.worker.interpreter.scope import Scope


class SetInterpreter(Kind):
    """Replaces the data."""

    def begin(self, builder: DecisionBuilder, run: Run, body: Set) -> None:
        """Completes with the value."""
        complete(builder, run, Scope(builder, run).evaluate(body.value, run.input))
