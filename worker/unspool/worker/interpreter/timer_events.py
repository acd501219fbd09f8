"""How the events of timers change the state."""

from __future__ import annotations  # rpds maps are generic to type checkers only

from collections.abc import Mapping
from typing import Final

from rpds import HashTrieMap

from unspool.eventstore.events import Event
from unspool.worker.interpreter.run import Phase
from unspool.worker.interpreter.run_changes import move
from unspool.worker.interpreter.state import PendingTimer, Purpose, State

_PAUSES: Final = frozenset({Purpose.WAIT, Purpose.RETRY})
"""Timers that a run only waits for."""


def timer_scheduled(state: State, event: Event) -> None:
    """A timer was set."""
    data = event.data
    timer = PendingTimer(str(event.run), Purpose(data["purpose"]), data["dueAt"])
    state.timers = state.timers.insert(data["timer"], timer)
    state.timers_of_runs = state.timers_of_runs.insert(
        timer.run, (*state.timers_of_runs.get(timer.run, ()), data["timer"])
    )
    if timer.purpose in _PAUSES:
        move(state, event, Phase.WAITING)


def timer_fired(state: State, event: Event) -> None:
    """A timer was due."""
    timer = _removed(state, event.data["timer"])
    if timer.purpose in _PAUSES:
        move(state, event, Phase.RUNNING)


def timer_cancelled(state: State, event: Event) -> None:
    """A timer is no longer needed."""
    _removed(state, event.data["timer"])


def _removed(state: State, id_: str) -> PendingTimer:
    """Removes a timer from the state; returns it."""
    timer = state.timers[id_]
    state.timers = state.timers.remove(id_)
    others = tuple(other for other in state.timers_of_runs[timer.run] if other != id_)
    state.timers_of_runs = (
        state.timers_of_runs.insert(timer.run, others) if others else state.timers_of_runs.remove(timer.run)
    )
    return timer


def by_run(timers: Mapping[str, PendingTimer]) -> HashTrieMap[str, tuple[str, ...]]:
    """The ids of timers by run, in the order in which the timers were set."""
    found: dict[str, tuple[str, ...]] = {}
    for id_ in sorted(timers, key=set_at):
        run = timers[id_].run
        found[run] = (*found.get(run, ()), id_)
    return HashTrieMap(found)


def set_at(timer: str) -> int:
    """The number of the event that set a timer."""
    return int(timer.rpartition("/")[2])
