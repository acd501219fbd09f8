"""What happens when an external resource was fetched, or could not be fetched."""

from unspool.definitions import errors
from unspool.definitions.errors import WorkflowError
from unspool.definitions.json_value import Json
from unspool.worker.interpreter.decision_builder import DecisionBuilder
from unspool.worker.interpreter.flow import continue_workflow, fail
from unspool.worker.interpreter.resources import pending, why_unusable
from unspool.worker.interpreter.run import ROOT, Phase
from unspool.worker.interpreter.state import Resource


def resource_fetched(builder: DecisionBuilder, body: dict[str, Json]) -> None:
    """Lets the runs that waited for a text start. A text that cannot be used is a `configuration` error.

    Such a text is not kept, so that a retry fetches it again.
    """
    found = pending(builder, body["run"])
    if found is None:
        return
    (key, resource), output = found, body["output"]
    cause = why_unusable(builder, key, output)
    if cause is not None:
        error = errors.configuration(cause, title="Unusable external resource")
        _fail_all(builder, key, resource, error, {"sha256": output["sha256"]})
        return
    builder.emit("resource.fetched", None, {"resource": key, **output})
    for id_ in resource.waiting:
        run = builder.state.runs.get(id_)
        if id_ == ROOT:
            continue_workflow(builder)
        elif run is not None and run.phase is Phase.CREATED:
            builder.ready.append(id_)


def resource_faulted(builder: DecisionBuilder, body: dict[str, Json]) -> None:
    """Faults the runs that waited for a text that could not be fetched."""
    found = pending(builder, body["run"])
    if found is not None:
        _fail_all(builder, *found, WorkflowError.from_json(body["error"]), {})


def _fail_all(
    builder: DecisionBuilder, key: str, resource: Resource, error: WorkflowError, given: dict[str, Json]
) -> None:
    builder.emit("resource.faulted", None, {"resource": key, "error": error.to_json(), **given})
    for id_ in resource.waiting:
        run = builder.state.runs.get(id_)
        if run is not None and run.phase is Phase.FETCHING:
            fail(builder, run, error.at(run.task or "/"))
