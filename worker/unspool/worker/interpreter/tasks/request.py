"""`call` and `run`: work for executors."""

from unspool.definitions import errors
from unspool.definitions.json_value import Json
from unspool.definitions.tasks.request import Request, Unsupported, queue_of
from unspool.worker.interpreter.decision_builder import DecisionBuilder, Fault
from unspool.worker.interpreter.flow import INPUT, complete
from unspool.worker.interpreter.kind import Kind
from unspool.worker.interpreter.resources import documents_of
from unspool.worker.interpreter.run import Run
from unspool.worker.interpreter.scope import Scope


class RequestInterpreter(Kind):
    """Requests work from an executor; the result arrives as a message."""

    def begin(self, builder: DecisionBuilder, run: Run, body: Request) -> None:
        """Evaluates the arguments once and sends the request."""
        arguments = Scope(builder, run).evaluate(body.arguments, run.input)
        documents = documents_of(builder, run, body.documents)
        builder.request(run, queue_of(body.kind), body.with_members(arguments, documents))

    def answered(self, builder: DecisionBuilder, run: Run, body: Request, output: Json) -> None:
        """Completes with the result; the result of a detached process is not awaited (inventory I58)."""
        complete(builder, run, INPUT if body.detached or body.returns_input else output)


class UnsupportedInterpreter(Kind):
    """A task that cannot be executed."""

    def begin(self, builder: DecisionBuilder, run: Run, body: Unsupported) -> None:
        """Faults with a `configuration` error."""
        error = errors.configuration(body.cause, title="Not executable")
        raise Fault(error if body.instance is None else error.at(body.instance))
