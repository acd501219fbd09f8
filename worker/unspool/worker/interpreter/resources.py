"""External resources: a task waits until those that it needs are fetched (inventory L1, L5, R5).

They are fetched before the task starts, one after another. Runs that need the same resource
share one request. The history has the hash of what was fetched, so that a replay uses the same text.
"""

from collections.abc import Mapping
from typing import Final

from unspool.definitions import errors
from unspool.definitions.data_schema import DataSchema
from unspool.definitions.json_value import Json
from unspool.definitions.plan import FetchedFunction, FetchedSchema, Task, Unusable
from unspool.definitions.resource import KIND, QUEUE, ResourceReference
from unspool.definitions.resource_kind import FOR_HANDLERS, kind_of
from unspool.eventstore.records import TaskRequest
from unspool.worker.interpreter.decision_builder import DecisionBuilder, Fault
from unspool.worker.interpreter.run import Run
from unspool.worker.interpreter.scope import Scope
from unspool.worker.interpreter.state import Purpose, Resource

MAX_RESOURCES: Final = 100
"""Resources that one execution can fetch."""


def has_to_wait(builder: DecisionBuilder, run: Run, task: Task) -> bool:
    """Whether a run waits for a resource before it starts; requests it if that is needed. Raises `Fault`."""
    for reference in task.resources:
        scope = Scope(builder, run)
        address = scope.evaluate(reference, run.raw)
        key = reference.key(address)
        known = builder.state.resources.get(key)
        if known is not None and known.sha256 is not None:
            continue
        _set_timeout(builder, run, task)
        if known is None:
            _request(builder, run, key, _arguments(scope, reference, address))
        else:
            builder.emit("resource.awaited", run, {"resource": key})
        return True
    return False


def _set_timeout(builder: DecisionBuilder, run: Run, task: Task) -> None:
    """Lets the timeout of a task begin with its first request (inventory N1). Raises `Fault`."""
    if task.timeout is not None and not has_timeout(builder, run):
        due_at = Scope(builder, run).duration(task.timeout, run.raw).due(builder.now)
        builder.schedule(run, Purpose.TIMEOUT, due_at)


def has_timeout(builder: DecisionBuilder, run: Run) -> bool:
    """Whether the timeout of a run is set."""
    state = builder.state
    return any(state.timers[id_].purpose is Purpose.TIMEOUT for id_ in state.timers_of_runs.get(run.id, ()))


def _arguments(scope: Scope, reference: ResourceReference, address: str) -> dict[str, Json]:
    arguments: dict[str, Json] = {}
    if reference.authentication is not None:
        arguments = scope.evaluate(reference.authentication, scope.run.raw)
    arguments = {**arguments, "endpoint": {**arguments.get("endpoint", {}), "uri": address}}
    if reference.kind in FOR_HANDLERS:  # a document may be larger; of a proto, the imports are fetched, too
        arguments[KIND] = reference.kind.value
    return arguments


def _request(builder: DecisionBuilder, run: Run, key: str, arguments: dict[str, Json]) -> None:
    if len(builder.state.resources) >= MAX_RESOURCES:
        detail = f"the execution has fetched {MAX_RESOURCES} external resources already"
        raise Fault(errors.configuration(detail, title="Too many external resources"))
    builder.emit("resource.requested", run, {"resource": key, "arguments": arguments})
    id_ = builder.state.resources[key].request
    builder.tasks[id_] = TaskRequest(builder.state.execution, id_, run.task, QUEUE, arguments)


def pending(builder: DecisionBuilder, request: str) -> tuple[str, Resource] | None:
    """The key of the resource that is being fetched by a request, and the resource."""
    for key, resource in builder.state.resources.items():
        if resource.request == request and resource.sha256 is None:
            return key, resource
    return None


def why_unusable(builder: DecisionBuilder, key: str, output: Mapping[str, Json]) -> str | None:
    """What is wrong with a text that was fetched; None if it can be used, or if only a handler reads it."""
    if kind_of(key) in FOR_HANDLERS:
        return None
    fetched = builder.plan.resources[key, output["sha256"]]
    return fetched.cause if isinstance(fetched, Unusable) else None


def function_of(builder: DecisionBuilder, run: Run, reference: ResourceReference) -> FetchedFunction:
    """The function that a reference means. It was fetched. Raises `Fault`."""
    function = _fetched(builder, run, reference)
    assert isinstance(function, FetchedFunction)  # as its key says
    return function


def schema_of(builder: DecisionBuilder, run: Run, reference: ResourceReference) -> DataSchema:
    """The schema that a reference means. It was fetched. Raises `Fault`."""
    fetched = _fetched(builder, run, reference)
    assert isinstance(fetched, FetchedSchema)  # as its key says
    return fetched.schema


def documents_of(
    builder: DecisionBuilder, run: Run, references: Mapping[str, ResourceReference]
) -> dict[str, Json]:
    """The address and the hash of each document, by name. They were fetched. Raises `Fault`."""
    found: dict[str, Json] = {}
    for name, reference in references.items():
        address, key = _address_and_key(builder, run, reference)
        found[name] = {"uri": address, "sha256": builder.state.resources[key].sha256}
    return found


def _fetched(builder: DecisionBuilder, run: Run, reference: ResourceReference) -> object:
    _, key = _address_and_key(builder, run, reference)
    sha256 = builder.state.resources[key].sha256
    assert sha256 is not None  # the run has waited for it
    return builder.plan.resources[key, sha256]


def _address_and_key(builder: DecisionBuilder, run: Run, reference: ResourceReference) -> tuple[str, str]:
    address = Scope(builder, run).evaluate(reference, run.raw)
    return address, reference.key(address)
