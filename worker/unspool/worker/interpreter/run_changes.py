"""Changes of a run in a state."""

from collections.abc import Iterable
from typing import Final

from unspool.eventstore.events import Event
from unspool.worker.interpreter.live_runs import ManyRuns
from unspool.worker.interpreter.run import BUSY, Phase, Run
from unspool.worker.interpreter.state import State

FEW_RUNS: Final = 64
"""Live runs up to which a dictionary has them."""


def live_runs(runs: Iterable[Run]) -> dict[str, Run] | ManyRuns:
    """Runs by id."""
    by_id = {run.id: run for run in runs}
    return by_id if len(by_id) <= FEW_RUNS else ManyRuns.of(by_id)


def add(state: State, run: Run) -> None:
    """Adds a run that has just been created."""
    runs = state.runs
    runs[run.id] = run
    state.busy_runs += 1
    if len(runs) > FEW_RUNS and not isinstance(runs, ManyRuns):
        state.runs = ManyRuns.of(runs)


def put(state: State, run: Run) -> Run:
    """Puts a run into the state, in place of the one with its id; returns it."""
    before = state.runs.get(run.id)
    was_busy = before is not None and before.phase in BUSY
    state.busy_runs += (run.phase in BUSY) - was_busy
    state.runs[run.id] = run
    return run


def remove(state: State, run: Run) -> None:
    """Removes a run that ends from the state."""
    state.busy_runs -= run.phase in BUSY
    del state.runs[run.id]
    if isinstance(state.runs, ManyRuns) and len(state.runs) <= FEW_RUNS // 2:
        state.runs = dict(state.runs)


def move(state: State, event: Event, phase: Phase) -> None:
    """Moves the run of an event to another phase."""
    put(state, state.runs[str(event.run)].in_phase(phase))
