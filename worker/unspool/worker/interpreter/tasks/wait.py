"""`wait`: a durable timer; the input is the output (inventory I23, I24)."""

from unspool.definitions.tasks.wait import Wait
from unspool.worker.interpreter.decision_builder import DecisionBuilder
from unspool.worker.interpreter.flow import INPUT, complete
from unspool.worker.interpreter.kind import Kind
from unspool.worker.interpreter.run import Run
from unspool.worker.interpreter.scope import Scope
from unspool.worker.interpreter.state import Purpose


class WaitInterpreter(Kind):
    """Pauses."""

    def begin(self, builder: DecisionBuilder, run: Run, body: Wait) -> None:
        """Sets the timer; completes at once if the duration is zero or negative."""
        duration = Scope(builder, run).duration(body.duration, run.input, may_be_over=True)
        due_at = duration.due(builder.now)
        if due_at <= builder.now:
            complete(builder, run, INPUT)
        else:
            builder.schedule(run, Purpose.WAIT, due_at)

    def timer_fired(self, builder: DecisionBuilder, run: Run, body: Wait, purpose: Purpose) -> None:
        """Completes after the wait."""
        complete(builder, run, INPUT)
