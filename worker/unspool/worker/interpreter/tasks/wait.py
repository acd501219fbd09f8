"""`wait`: a durable timer; the input is the output (inventory I23, I24)."""

from unspool.definitions.tasks.wait import Wait
from unspool.worker.interpreter.flow import INPUT, complete
from unspool.worker.interpreter.kind import Kind
from unspool.worker.interpreter.scope import Scope
from unspool.worker.interpreter.state import Purpose, Run
from unspool.worker.interpreter.turn import Turn


class WaitBehaviour(Kind):
    """Pauses."""

    def begin(self, turn: Turn, run: Run, body: Wait) -> None:
        """Sets the timer; no time at all is over at once."""
        due_at = Scope(turn, run).duration(body.duration, run.input).due(turn.now)
        if due_at <= turn.now:
            complete(turn, run, INPUT)
        else:
            turn.schedule(run, Purpose.WAIT, due_at)

    def timer_fired(self, turn: Turn, run: Run, body: Wait, purpose: Purpose) -> None:
        """The time is over."""
        complete(turn, run, INPUT)
