"""How the events of timers change the state."""

from typing import Final

from unspool.eventstore.events import Event
from unspool.worker.interpreter.run_changes import move
from unspool.worker.interpreter.state import PendingTimer, Phase, Purpose, State

_PAUSES: Final = frozenset({Purpose.WAIT, Purpose.RETRY})
"""Timers that a run only waits for."""


def timer_scheduled(state: State, event: Event) -> None:
    """A timer was set."""
    data = event.data
    timer = PendingTimer(str(event.run), Purpose(data["purpose"]), data["dueAt"])
    state.timers = state.timers.insert(data["timer"], timer)
    if timer.purpose in _PAUSES:
        move(state, event, Phase.WAITING)


def timer_fired(state: State, event: Event) -> None:
    """A timer was due."""
    timer = state.timers[event.data["timer"]]
    state.timers = state.timers.remove(event.data["timer"])
    if timer.purpose in _PAUSES:
        move(state, event, Phase.RUNNING)


def timer_cancelled(state: State, event: Event) -> None:
    """A timer is no longer needed."""
    state.timers = state.timers.remove(event.data["timer"])
