"""`evolve(state, event) -> state`: what each event does to a schedule."""

from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from typing import Final

from unspool.definitions.json_value import Json
from unspool.eventstore.actors import actor_in
from unspool.eventstore.errors import CorruptHistory
from unspool.eventstore.events import Event
from unspool.eventstore.records import Status, WorkflowRef
from unspool.worker.schedule.sets import NO_SETS, PendingSets
from unspool.worker.schedule.state import AFTER, ON, TRIGGERS, ScheduleState, Trigger, state_from_json

COMPACTED: Final = "schedule.compacted"
"""The event that holds a whole state. A history may begin with it."""


def fold(state: ScheduleState, events: Iterable[Event]) -> ScheduleState:
    """The state after these events. Raises `CorruptHistory`."""
    return reduce(evolve, events, state)


def evolve(state: ScheduleState, event: Event) -> ScheduleState:
    """The state after one event.

    Raises:
        CorruptHistory: the event is unknown or out of order.
    """
    if event.type == COMPACTED:
        return state_from_json(state.execution, event.seq, event.data)
    if event.seq != state.version + 1:
        raise CorruptHistory(f"event {event.seq} of {state.execution} follows event {state.version}")
    try:
        return _APPLY[event.type](state, event)._replace(version=event.seq)
    except KeyError as missing:
        raise CorruptHistory(f"event {event.seq} ({event.type}) does not fit: no {missing}") from missing


def pointer_of(trigger: str) -> str:
    """The JSON pointer of a trigger in its definition. It is the `task` of the trigger's events."""
    return f"/schedule/{trigger}"


def _deployed(state: ScheduleState, event: Event) -> ScheduleState:
    schedule = event.data["schedule"] or {}
    triggers = {
        name: _deployed_trigger(state.triggers.get(name), schedule[name], event.time)
        for name in TRIGGERS
        if name in schedule
    }
    same_events = triggers.get(ON) == state.triggers.get(ON)
    return state._replace(
        workflow=WorkflowRef(**event.data["workflow"]),
        schedule=schedule,
        triggers=triggers,
        sets=state.sets if same_events else NO_SETS,
        started_at=event.time if state.started_at is None else state.started_at,
    )


def _deployed_trigger(before: Trigger | None, value: Json, time: int) -> Trigger:
    """One that did not change goes on; else deploying more often than it fires would stop it."""
    if before is None:
        return Trigger(value, time)
    if before.value == value:
        return before
    return Trigger(value, time, execution=before.execution, ended_at=before.ended_at)


def _trigger_of(event: Event) -> str:
    return str(event.task).rpartition("/")[2]


def _changed(state: ScheduleState, event: Event, **members: Json) -> ScheduleState:
    """The state with another value of some members of the event's trigger."""
    name = _trigger_of(event)
    trigger = state.triggers[name]._replace(**members)
    return state._replace(triggers={**state.triggers, name: trigger})


def _scheduled(state: ScheduleState, event: Event) -> ScheduleState:
    return _changed(state, event, due=event.data["dueAt"], timer=event.data["timer"])


def _started(state: ScheduleState, event: Event) -> ScheduleState:
    due, execution = event.data["dueAt"], event.data["execution"]
    awaited = event.data.get("child", execution) if _trigger_of(event) == AFTER else None
    after = _changed(state, event, due=None, timer=None, execution=awaited, ended_at=None)
    return after._replace(last=due, last_execution=execution, sets=_without_set(state, event))


def _failed(state: ScheduleState, event: Event) -> ScheduleState:
    """An `after` that failed waits for an operator or a new version: its input would be the same again."""
    after = _changed(state, event, due=None, timer=None, ended_at=None)
    return after._replace(sets=_without_set(state, event))


def _without_set(state: ScheduleState, event: Event) -> PendingSets:
    return state.sets.removed(event.data["set"]) if "set" in event.data else state.sets


def _received(state: ScheduleState, event: Event) -> ScheduleState:
    return state._replace(sets=state.sets.received(event.data), grown=state.grown + event.data["size"])


def _dropped(state: ScheduleState, event: Event) -> ScheduleState:
    return state._replace(sets=_without_set(state, event))


def _missed(state: ScheduleState, event: Event) -> ScheduleState:
    changed = _changed(state, event, due=None, timer=None)
    return changed._replace(missed=(event.data["from"], event.data["before"]))


def _ended(state: ScheduleState, event: Event) -> ScheduleState:
    """After a cancellation by an operator there is nothing to count from (inventory C3)."""
    cancelled = event.data["status"] == Status.CANCELLED
    return _changed(state, event, execution=None, ended_at=None if cancelled else event.time)


def _paused(state: ScheduleState, event: Event) -> ScheduleState:
    triggers = {name: trigger._replace(due=None, timer=None) for name, trigger in state.triggers.items()}
    return state._replace(paused=True, triggers=triggers, pause={"at": event.time, **actor_in(event.data)})


def _resumed(state: ScheduleState, event: Event) -> ScheduleState:
    return state._replace(paused=False, pause=None)


_APPLY: Final[Mapping[str, Callable[[ScheduleState, Event], ScheduleState]]] = {
    "schedule.deployed": _deployed,
    "schedule.paused": _paused,
    "schedule.resumed": _resumed,
    "occurrence.scheduled": _scheduled,
    "occurrence.started": _started,
    "occurrence.failed": _failed,
    "occurrences.missed": _missed,
    "execution.ended": _ended,
    "event.received": _received,
    "correlation.dropped": _dropped,
}
