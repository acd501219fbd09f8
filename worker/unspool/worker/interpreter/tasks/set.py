"""`set`: the value replaces the data (inventory F13, I2)."""

from unspool.definitions.tasks.set import Set
from unspool.worker.interpreter.flow import complete
from unspool.worker.interpreter.kind import Kind
from unspool.worker.interpreter.scope import Scope
from unspool.worker.interpreter.state import Run
from unspool.worker.interpreter.turn import Turn


class SetBehaviour(Kind):
    """Makes data anew."""

    def begin(self, turn: Turn, run: Run, body: Set) -> None:
        """Completes with the value."""
        complete(turn, run, Scope(turn, run).evaluate(body.value, run.input))
