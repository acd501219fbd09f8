"""Changes of a run in a state."""

from collections.abc import Iterable, Sequence
from typing import Final

from unspool.eventstore.events import Event
from unspool.worker.interpreter.live_runs import ManyRuns
from unspool.worker.interpreter.run import BUSY, Phase, Run
from unspool.worker.interpreter.state import NO_RUNS, State

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


def forget_faulted(state: State) -> None:
    """Forgets the faulted runs, because the execution goes on: their errors were caught.

    But a fork with `compete` has not caught the error of a branch that has lost: it faults if all do.
    """
    ended = (*state.lost_runs, *state.faulted_runs)
    branches = [run for run in ended if run.branch is not None and run.parent in state.runs]
    lost = {run.id for run in (*branches, *inside(ended, branches))}
    state.lost_runs = tuple(run for run in ended if run.id in lost)
    state.faulted_runs = NO_RUNS


def forget_lost(state: State, run: Run) -> None:
    """Forgets the branches that have lost a fork which begins again, or whose own work has ended."""
    if state.lost_runs:
        gone = {each.id for each in inside(state.lost_runs, (run,))}
        state.lost_runs = tuple(each for each in state.lost_runs if each.id not in gone)


def lost_with_faulted(state: State) -> list[Run]:
    """The runs of branches that have lost a fork which has faulted."""
    return inside(state.lost_runs, state.faulted_runs)


def inside(runs: Sequence[Run], around: Iterable[Run]) -> list[Run]:
    """Those of some runs, the innermost first, that are inside of others."""
    ids, found = {run.id for run in around}, []
    for run in reversed(runs):
        if run.parent in ids:
            ids.add(run.id)
            found.append(run)
    return found[::-1]
