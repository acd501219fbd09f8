"""`switch`: uses `then` of the first case that holds, or its own `then` without one (inventory I3-I6)."""

from unspool.definitions.tasks.switch import Switch
from unspool.worker.interpreter.decision_builder import DecisionBuilder
from unspool.worker.interpreter.flow import INPUT, complete
from unspool.worker.interpreter.kind import Kind
from unspool.worker.interpreter.run import Run
from unspool.worker.interpreter.scope import Scope


class SwitchInterpreter(Kind):
    """Chooses the next task."""

    def begin(self, builder: DecisionBuilder, run: Run, body: Switch) -> None:
        """Completes with its input and the flow directive of the case that holds."""
        scope = Scope(builder, run)
        for case in body.cases:
            if case.when is None or scope.holds(case.when, run.input):
                complete(builder, run, INPUT, case.then)
                return
        complete(builder, run, INPUT)
