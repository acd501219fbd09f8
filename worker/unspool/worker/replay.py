"""Histories replayed: the state as of any event, and whether they would come out the same again.

To interpret a history again one needs the messages that led to it. They are not stored; each decision
begins with events that only one message can have caused, so they are read off the history.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Final

from unspool.definitions.errors import DEFAULT_BASE
from unspool.definitions.json_value import Json
from unspool.definitions.plan import Plan
from unspool.eventstore.events import Event
from unspool.eventstore.records import Message, MessageKind, Status
from unspool.worker.interpreter import State, decide, fold
from unspool.worker.interpreter.state import Phase, Run


@dataclass(frozen=True, slots=True)
class Divergence:
    """Where interpreting a history again takes another path."""

    seq: int
    recorded: Event | None
    """The event in the history; None if the history ends there."""
    decided: Event | None
    """What would be decided; None if nothing would."""


def state_at(execution: str, events: Sequence[Event], at: int | None = None) -> State:
    """The state as of event number `at`, or of the last one."""
    wanted = events if at is None else [event for event in events if event.seq <= at]
    return fold(State(execution), wanted)


def verify(
    plan: Plan, execution: str, events: Sequence[Event], *, error_base: str = DEFAULT_BASE
) -> Divergence | None:
    """Interprets a history again, decision by decision; the first difference, or None.

    Args:
        plan: the definition it was made with, or a changed one, to see where that would lead.
        execution: the execution's id.
        events: its whole history.
        error_base: under which standard errors were written.

    Raises:
        CorruptHistory: the events make no history.
    """
    state_at(execution, events)
    state = State(execution)
    done = 0
    while done < len(events):
        rest = events[done:]
        message, at = cause_of(state, rest), rest[0].time
        # Where a long decision was cut, time went on; deciding beyond that would give other times.
        most = len(next(list(group) for _, group in groupby(rest, key=attrgetter("time"))))
        decision = decide(plan, state, message, at, error_base=error_base, enough=most.__le__)
        difference = _difference(decision.events, rest)
        if difference is not None:
            return difference
        state = decision.state
        done += len(decision.events)
    return None


def cause_of(state: State, events: Sequence[Event]) -> Message:
    """The message that the decision at the head of these events answered."""
    first = next((event for event in events if event.type not in _PRELUDE), events[0])
    kind, data = _ONLY_CAUSE.get(first.type), first.data
    if kind is MessageKind.START:
        parent = {"parent": data["parent"]} if "parent" in data else {}
        return Message(kind, state.execution, {"input": data["input"], **parent})
    if kind is MessageKind.TIMER_FIRED:
        return Message(kind, state.execution, {"timer": data["timer"]})
    if kind is not None:
        return Message(kind, state.execution, {})
    run = state.runs.get(first.run or "")
    if run is not None and run.phase is Phase.AWAITING:
        return _end_of_child(state, run, data)
    if run is None or run.phase is not Phase.REQUESTED:
        return Message(MessageKind.CONTINUE, state.execution, {})
    if "error" in data and "raw" not in data:
        return Message(MessageKind.TASK_FAULTED, state.execution, {"run": run.id, "error": data["error"]})
    output = data.get("raw", data.get("output", run.input))
    return Message(MessageKind.TASK_COMPLETED, state.execution, {"run": run.id, "output": output})


def _end_of_child(state: State, run: Run, data: dict[str, Json]) -> Message:
    body: dict[str, Json] = {"run": run.id, "child": run.child}
    if "ended" in data:
        body |= data["ended"]
    else:
        body |= {"status": Status.COMPLETED, "output": data.get("raw", data.get("output", run.input))}
    return Message(MessageKind.CHILD_ENDED, state.execution, body)


_PRELUDE: Final = frozenset({"task.cancelled", "timer.cancelled"})
"""Events that may precede the event that shows the cause of a decision."""

_ONLY_CAUSE: Final = {
    "workflow.started": MessageKind.START,
    "timer.fired": MessageKind.TIMER_FIRED,
    "workflow.cancelled": MessageKind.CANCEL,
    "workflow.suspended": MessageKind.SUSPEND,
    "workflow.resumed": MessageKind.RESUME,
    "workflow.retried": MessageKind.RETRY,
}


def _difference(decided: Sequence[Event], recorded: Sequence[Event]) -> Divergence | None:
    if not decided:
        return Divergence(recorded[0].seq, recorded[0], None)
    for ours, theirs in zip(decided, recorded, strict=False):
        if ours != theirs and _without_version(ours) != _without_version(theirs):
            return Divergence(theirs.seq, theirs, ours)
    if len(decided) > len(recorded):
        return Divergence(decided[len(recorded)].seq, None, decided[len(recorded)])
    return None


def _without_version(event: Event) -> Event:
    """The event as another version of the same workflow would have it."""
    workflow = event.data.get("workflow") if event.type == "workflow.started" else None
    if not isinstance(workflow, dict):
        return event
    return event._replace(data={**event.data, "workflow": {**workflow, "version": ""}})
