"""`call` and `run`: work that an executor does."""

from unspool.definitions import errors
from unspool.definitions.json_value import Json
from unspool.definitions.tasks.request import Request, Unsupported
from unspool.worker.interpreter.flow import INPUT, complete
from unspool.worker.interpreter.kind import Kind
from unspool.worker.interpreter.scope import Scope
from unspool.worker.interpreter.state import Run
from unspool.worker.interpreter.turn import Fault, Turn


class RequestBehaviour(Kind):
    """Asks an executor; its result comes back as a message."""

    def begin(self, turn: Turn, run: Run, body: Request) -> None:
        """Evaluates the arguments, here and once, and hands them out."""
        turn.request(run, body.queue, Scope(turn, run).evaluate(body.arguments, run.input))

    def answered(self, turn: Turn, run: Run, body: Request, output: Json) -> None:
        """Completes with the result; nobody waited for the one of a detached process (inventory I58)."""
        complete(turn, run, INPUT if body.detached else output)


class UnsupportedBehaviour(Kind):
    """A task that cannot be executed."""

    def begin(self, turn: Turn, run: Run, body: Unsupported) -> None:
        """Faults, and says so."""
        error = errors.configuration(body.cause, title="Not executable")
        raise Fault(error if body.instance is None else error.at(body.instance))
