"""Changes of a run in a state."""

from unspool.eventstore.events import Event
from unspool.worker.interpreter.state import Phase, Run, State


def put(state: State, run: Run) -> Run:
    """Puts a run into the state, in place of the one with its id; returns it."""
    state.runs = state.runs.insert(run.id, run)
    return run


def move(state: State, event: Event, phase: Phase) -> None:
    """Moves the run of an event to another phase."""
    put(state, state.runs[str(event.run)]._replace(phase=phase))
