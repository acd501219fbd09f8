"""Changes of a run in a state."""

from unspool.eventstore.events import Event
from unspool.worker.interpreter.state import BUSY, Phase, Run, State


def put(state: State, run: Run) -> Run:
    """Puts a run into the state, in place of the one with its id; returns it."""
    before = state.runs.get(run.id)
    was_busy = before is not None and before.phase in BUSY
    state.busy_runs += (run.phase in BUSY) - was_busy
    state.runs = state.runs.insert(run.id, run)
    return run


def remove(state: State, run: Run) -> None:
    """Removes a run that ends from the state."""
    state.busy_runs -= run.phase in BUSY
    state.runs = state.runs.remove(run.id)


def move(state: State, event: Event, phase: Phase) -> None:
    """Moves the run of an event to another phase."""
    put(state, state.runs[str(event.run)]._replace(phase=phase))
