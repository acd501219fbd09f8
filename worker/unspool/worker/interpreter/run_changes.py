"""Changes of a run in a state."""

from __future__ import annotations  # rpds sets are generic to type checkers only

from typing import Final

from rpds import HashTrieSet

from unspool.eventstore.events import Event
from unspool.worker.interpreter.state import BUSY, Phase, Run, State, children_by_run

FEW_RUNS: Final = 64
"""Live runs up to which the children of a run are searched for. With more, they are kept beside the runs:
else each fault of an iteration takes longer the more iterations run side by side."""

_NO_RUNS: Final[HashTrieSet[str]] = HashTrieSet()


def add(state: State, run: Run) -> None:
    """Adds a run that has just been created."""
    state.runs = state.runs.insert(run.id, run)
    state.busy_runs += 1
    if state.children_of is not None:
        siblings = state.children_of.get(str(run.parent), _NO_RUNS).insert(run.id)
        state.children_of = state.children_of.insert(str(run.parent), siblings)
    elif len(state.runs) > FEW_RUNS:
        state.children_of = children_by_run(state.runs.values())


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
    if state.children_of is not None:
        _remove_child(state, run)


def _remove_child(state: State, run: Run) -> None:
    assert state.children_of is not None
    if len(state.runs) <= FEW_RUNS // 2:
        state.children_of = None
        return
    siblings = state.children_of[str(run.parent)].remove(run.id)
    changed = state.children_of.insert(str(run.parent), siblings)
    state.children_of = changed if siblings else changed.remove(str(run.parent))


def move(state: State, event: Event, phase: Phase) -> None:
    """Moves the run of an event to another phase."""
    put(state, state.runs[str(event.run)]._replace(phase=phase))
