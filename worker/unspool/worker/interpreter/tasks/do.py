"""`do`: one task after another; its output is the last one's (inventory I1)."""

from unspool.definitions.tasks.do import Do
from unspool.worker.interpreter.decision_builder import DecisionBuilder
from unspool.worker.interpreter.flow import INPUT, complete, create
from unspool.worker.interpreter.kind import InOrder
from unspool.worker.interpreter.run import Run


class DoInterpreter(InOrder):
    """Runs a list of tasks."""

    def begin(self, builder: DecisionBuilder, run: Run, body: Do) -> None:
        """Begins with the first task; with an empty list, the output is the input."""
        first = body.tasks.first
        if first is None:
            complete(builder, run, INPUT)
        else:
            create(builder, first, run)
