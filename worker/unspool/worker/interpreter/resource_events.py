"""How the events of external resources change the state."""

from unspool.eventstore.events import Event
from unspool.worker.interpreter.run import ROOT, Phase
from unspool.worker.interpreter.run_changes import move, put
from unspool.worker.interpreter.state import Resource, State


def resource_requested(state: State, event: Event) -> None:
    """A run waits for a resource that is being fetched."""
    resource = Resource(f"resource-{event.seq}", (str(event.run),))
    state.resources = state.resources.insert(event.data["resource"], resource)
    move(state, event, Phase.FETCHING)


def resource_awaited(state: State, event: Event) -> None:
    """A further run waits for it."""
    key = event.data["resource"]
    resource = state.resources[key]
    awaited = resource._replace(waiting=(*resource.waiting, str(event.run)))
    state.resources = state.resources.insert(key, awaited)
    move(state, event, Phase.FETCHING)


def resource_fetched(state: State, event: Event) -> None:
    """The runs that waited for it can start. The workflow itself has started; only its tasks have not."""
    key = event.data["resource"]
    resource = state.resources[key]
    for run in resource.waiting:
        waiting = state.runs.get(run)
        if waiting is not None and waiting.phase is Phase.FETCHING:
            put(state, waiting._replace(phase=Phase.RUNNING if run == ROOT else Phase.CREATED))
    fetched = resource._replace(waiting=(), sha256=event.data["sha256"])
    state.resources = state.resources.insert(key, fetched)


def resource_faulted(state: State, event: Event) -> None:
    """It can be fetched again. The runs that waited for it fault next."""
    state.resources = state.resources.remove(event.data["resource"])
