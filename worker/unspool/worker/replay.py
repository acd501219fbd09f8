"""Replay: rebuilds the state after any event, and interprets a history again to compare the events.

To interpret a history again, the messages that caused it are needed. They are not stored. But each decision
begins with events that only one message can have caused, so the messages are derived from the history.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Final

from unspool.definitions.errors import DEFAULT_BASE
from unspool.definitions.json_value import Json
from unspool.definitions.plan import Plan
from unspool.eventstore.actors import actor_in
from unspool.eventstore.events import Event
from unspool.eventstore.records import Message, MessageKind, Status
from unspool.worker.interpreter import State, decide, fold
from unspool.worker.interpreter.listening import Listening
from unspool.worker.interpreter.run import Phase, Run
from unspool.worker.interpreter.tasks.run_workflow import refused_in


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first difference between a history and its new interpretation."""

    seq: int
    recorded: Event | None
    """The event in the history; None if the history ends there."""
    decided: Event | None
    """The event of the new interpretation; None if there is none."""


def state_at(execution: str, events: Sequence[Event], at: int | None = None) -> State:
    """The state after event number `at`; by default after the last event."""
    folded = events if at is None else [event for event in events if event.seq <= at]
    return fold(State(execution), folded)


def verify(
    plan: Plan, execution: str, events: Sequence[Event], *, error_base: str = DEFAULT_BASE
) -> Divergence | None:
    """Interprets a history again, decision by decision. Returns the first difference; None without one.

    Args:
        plan: the definition that the execution ran with, or a changed one, to see the difference.
        execution: the execution's id.
        events: its whole history.
        error_base: base URI of standard errors in the history.

    Raises:
        CorruptHistory: the events are not a valid history.
    """
    state_at(execution, events)
    state = State(execution)
    done = 0
    while done < len(events):
        rest = events[done:]
        message, at = cause_of(state, rest), rest[0].time
        # A long decision is cut, and the next one has a later time. So this one must not decide more events.
        most = len(next(list(group) for _, group in groupby(rest, key=attrgetter("time"))))
        refused = refused_in(plan, rest[:most])
        decision = decide(
            plan, state, message, at, error_base=error_base, enough=most.__le__, refused=refused
        )
        difference = _difference(decision.events, rest)
        if difference is not None:
            return difference
        state = decision.state
        done += len(decision.events)
    return None


def cause_of(state: State, events: Sequence[Event]) -> Message:
    """The message that caused the first decision in these events."""
    first = next((event for event in events if event.type not in _PRELUDE), events[0])
    kind, data = _ONLY_CAUSE.get(first.type), first.data
    if first.type == "resource.faulted" and "sha256" in data:
        kind = MessageKind.TASK_COMPLETED  # the text was fetched, and could not be used
    if first.type in _OF_REQUESTS:
        return _of_request(state, first)
    if kind is not None:
        return Message(kind, state.execution, _body_of(state, kind, first))
    run = state.runs.get(first.run or "")
    if run is not None and run.phase is Phase.AWAITING:
        return _end_of_child(state, run, data)
    if run is None or run.request is None:
        return Message(MessageKind.CONTINUE, state.execution, {})
    if "error" in data and "raw" not in data:
        body = {"run": run.request, "error": data["error"]}
        return Message(MessageKind.TASK_FAULTED, state.execution, body)
    output = data.get("raw", data.get("output", run.input))
    return Message(MessageKind.TASK_COMPLETED, state.execution, {"run": run.id, "output": output})


_OF_START: Final = ("input", "parent", "idempotencyKey", "tags", "by", "traceparent", "tracestate")


def _body_of(state: State, kind: MessageKind, first: Event) -> dict[str, Json]:
    """The body of a message whose event has all that was in it."""
    data = first.data
    match kind:
        case MessageKind.START:
            return {name: data[name] for name in _OF_START if name in data}
        case MessageKind.JOIN | MessageKind.OPERATED:
            return data
        case MessageKind.CHILD_JOINED:
            return {"run": first.run, **data}
        case MessageKind.EVENT:
            return {"run": first.run, "event": data["event"]}
        case MessageKind.TASK_COMPLETED:
            output = {name: value for name, value in data.items() if name in {"sha256", "mediaType"}}
            return {"run": state.resources[data["resource"]].request, "output": output}
        case MessageKind.TASK_FAULTED:
            return {"run": state.resources[data["resource"]].request, "error": data["error"]}
        case MessageKind.TIMER_FIRED:
            return {"timer": data["timer"]}
        case _:
            return actor_in(data)


def _received(run: Run) -> int:
    return run.progress.received if isinstance(run.progress, Listening) else 0


def _end_of_child(state: State, run: Run, data: dict[str, Json]) -> Message:
    body: dict[str, Json] = {"run": run.id, "child": run.child}
    if "ended" in data:
        body |= data["ended"]
    else:
        body |= {"status": Status.COMPLETED, "output": data.get("raw", data.get("output", run.input))}
    return Message(MessageKind.CHILD_ENDED, state.execution, body)


def _of_request(state: State, first: Event) -> Message:
    """A message from the executor that has the task request of a run."""
    run = state.runs[str(first.run)]
    if first.type == "task.progressed":
        return Message(MessageKind.TASK_PROGRESSED, state.execution, {"run": run.request, **first.data})
    if first.type == "subscription.completed":
        return Message(MessageKind.TASK_COMPLETED, state.execution, {"run": run.request, "output": None})
    body = {"run": run.request, "place": _received(run), **first.data}
    return Message(MessageKind.MESSAGES, state.execution, body)


_OF_REQUESTS: Final = frozenset({"messages.received", "subscription.completed", "task.progressed"})

_PRELUDE: Final = frozenset({"task.cancelled", "timer.cancelled"})
"""Events that may precede the event that shows the cause of a decision."""

_ONLY_CAUSE: Final = {
    "workflow.started": MessageKind.START,
    "timer.fired": MessageKind.TIMER_FIRED,
    "event.received": MessageKind.EVENT,
    "resource.fetched": MessageKind.TASK_COMPLETED,
    "resource.faulted": MessageKind.TASK_FAULTED,
    "workflow.cancelled": MessageKind.CANCEL,
    "workflow.suspended": MessageKind.SUSPEND,
    "workflow.resumed": MessageKind.RESUME,
    "workflow.retried": MessageKind.RETRY,
    "workflow.joined": MessageKind.JOIN,
    "dead-letter.requeued": MessageKind.OPERATED,
    "dead-letter.discarded": MessageKind.OPERATED,
    "child.joined": MessageKind.CHILD_JOINED,
}


def _difference(decided: Sequence[Event], recorded: Sequence[Event]) -> Divergence | None:
    if not decided:
        return Divergence(recorded[0].seq, recorded[0], None)
    for new, old in zip(decided, recorded, strict=False):
        if new != old and _without_version(new) != _without_version(old):
            return Divergence(old.seq, old, new)
    if len(decided) > len(recorded):
        return Divergence(decided[len(recorded)].seq, None, decided[len(recorded)])
    return None


def _without_version(event: Event) -> Event:
    """The event without the version of the workflow, so that two versions can be compared."""
    workflow = event.data.get("workflow") if event.type == "workflow.started" else None
    if not isinstance(workflow, dict):
        return event
    return event._replace(data={**event.data, "workflow": {**workflow, "version": ""}})
