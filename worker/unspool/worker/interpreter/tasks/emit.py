"""`emit`: publishes an event; its output is the event (inventory I40-I45)."""

from unspool.definitions import errors
from unspool.definitions.cloud_events import SPEC_VERSION, problems_of_published
from unspool.definitions.json_value import Json
from unspool.definitions.tasks.emit import Emit
from unspool.eventstore.clock import rfc3339
from unspool.eventstore.ids import derived_id
from unspool.worker.interpreter.decision_builder import DecisionBuilder, Fault
from unspool.worker.interpreter.flow import complete
from unspool.worker.interpreter.kind import Kind
from unspool.worker.interpreter.run import Run
from unspool.worker.interpreter.scope import Scope


class EmitInterpreter(Kind):
    """Publishes an event."""

    def begin(self, builder: DecisionBuilder, run: Run, body: Emit) -> None:
        """Publishes it with the commit. Its id is in the history, so that a crash publishes no other one."""
        scope, size = Scope(builder, run), builder.size
        addresses = {name: scope.evaluate(address, run.input) for name, address in body.addresses}
        event = _with_defaults(builder, run, {**scope.evaluate(body.attributes, run.input), **addresses})
        problems = problems_of_published(event, builder.size - size)
        if problems:
            raise Fault(errors.validation("the event is not valid: " + "; ".join(problems)))
        builder.publish(event)
        complete(builder, run, event)


def _with_defaults(builder: DecisionBuilder, run: Run, written: dict[str, Json]) -> dict[str, Json]:
    """Returns the event with the attributes that the author left out (inventory I41)."""
    plan, execution = builder.plan, builder.state.execution
    event: dict[str, Json] = {
        "specversion": SPEC_VERSION,
        "id": derived_id(builder.now, f"{execution}/{run.id}"),
        "source": f"/{plan.namespace}/{plan.name}/{plan.version}",
        "type": None,
        "time": rfc3339(builder.now),
    }
    if "data" in written:
        event["datacontenttype"] = "application/json"
    event |= {name: value for name, value in written.items() if value is not None or name == "data"}
    return event
