"""A decision of a schedule that is being built: the state so far, and what has been decided already."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from unspool.definitions.json_value import Json
from unspool.definitions.schedules.event_trigger import EventTrigger
from unspool.eventstore.events import Event
from unspool.eventstore.ids import derived_id
from unspool.eventstore.monitoring.trace_context import TRACEPARENT, TRACESTATE
from unspool.eventstore.published_events import IndexEntry
from unspool.eventstore.records import (
    ExecutionKey,
    Outgoing,
    Parent,
    Start,
    StartExecution,
    Timer,
    WorkflowRef,
)
from unspool.worker.interpreter.decision_builder import MAX_DECISION_SIZE, SAME_TENANT
from unspool.worker.schedule.event_matcher import EventMatcher
from unspool.worker.schedule.evolve import COMPACTED, evolve, pointer_of
from unspool.worker.schedule.limits import COMPACT_AFTER
from unspool.worker.schedule.state import AFTER, ON, ScheduleState, state_to_json

_COMPACT_SIZE: Final = 1024 * 1024
"""Characters of received events after which it does, too; more if the state is larger."""

_NO_CONTEXT: Final[Mapping[str, str]] = {}

EventTriggers = Mapping[WorkflowRef, EventTrigger]
"""The compiled `schedule.on` of definitions."""


@dataclass(slots=True)
class ScheduleBuilder:
    """One decision of a schedule."""

    state: ScheduleState
    now: int
    """Milliseconds since 1970."""
    triggers: EventTriggers
    enough: Callable[[int], bool]
    """Gets the number of events; returns whether the decision stops there."""
    size: int = 0
    """About how many characters of events it has."""
    events: list[Event] = field(default_factory=list)
    timers: list[Timer] = field(default_factory=list)
    timers_cancelled: list[str] = field(default_factory=list)
    outgoing: list[Outgoing] = field(default_factory=list)
    subscriptions: dict[str, tuple[IndexEntry, ...] | None] = field(default_factory=dict)
    """By run: what it is subscribed to now, or None if it no longer is."""
    compacted: bool = False
    """Whether the decision begins with the whole state."""
    _matcher: EventMatcher | None = None

    def emit(self, type_: str, trigger: str | None, data: dict[str, Json]) -> None:
        """Decides an event, and lets the state follow."""
        if not self.events and self._is_long:
            self.compacted = True
            self._append(COMPACTED, None, state_to_json(self.state))
        self._append(type_, None if trigger is None else pointer_of(trigger), data)

    @property
    def _is_long(self) -> bool:
        """Whether the whole state costs little beside the events since the last time."""
        state = self.state
        return state.version - state.compacted_at >= max(COMPACT_AFTER, state.sets.events) or (
            state.grown >= max(_COMPACT_SIZE, state.sets.size)
        )

    def add_size(self, size: int) -> None:
        """Adds the size of an event, in characters."""
        self.size += size

    @property
    def full(self) -> bool:
        """Whether the decision is long enough."""
        return self.size > MAX_DECISION_SIZE or self.enough(len(self.events))

    # -- events

    @property
    def matcher(self) -> EventMatcher | None:
        """Matches with the filters of the present version; None if it has none. Raises `Fault`."""
        workflow = self.state.workflow
        trigger = None if workflow is None or ON not in self.state.triggers else self.triggers.get(workflow)
        if trigger is None:
            return None
        if self._matcher is None or self._matcher.trigger is not trigger:
            self._matcher = EventMatcher(trigger, self.now)
        return self._matcher

    def subscribe(self) -> None:
        """Subscribes to the events of the present version, or to none if it has none or is paused."""
        matcher = None if self.state.paused else self.matcher
        self.subscriptions[ON] = None if matcher is None else matcher.index()

    # -- occurrences

    def _append(self, type_: str, task: str | None, data: dict[str, Json]) -> None:
        event = Event(self.state.version + 1, type_, self.now, task, None, data)
        self.events.append(event)
        self.state = evolve(self.state, event)

    def schedule(self, trigger: str, due: int | None) -> None:
        """Sets the timer of a trigger; None if it never fires again."""
        if due is not None:
            timer = f"{trigger}/{self.state.version + 1}"
            self.emit("occurrence.scheduled", trigger, {"dueAt": due, "timer": timer})
            self.timers.append(Timer(timer, due))

    def timer_of(self, trigger: str) -> str | None:
        """The timer of a trigger; None if it has none, or there is no such trigger."""
        return self.state.triggers[trigger].timer if trigger in self.state.triggers else None

    def start_due(self, trigger: str, due: int) -> None:
        """Starts the execution of an occurrence. Its id is derived, so an occurrence is started once."""
        self.start(trigger, due, derived_id(due, f"{self.state.execution}/{trigger}/{due}"), {}, {})

    def start(
        self,
        trigger: str,
        due: int,
        execution: str,
        value: Json,
        data: dict[str, Json],
        context: Mapping[str, str] = _NO_CONTEXT,
    ) -> None:
        """Starts an execution.

        One of `after` has the schedule as its parent, so that its end becomes a message.

        Args:
            trigger: what starts it.
            due: when it should start, in milliseconds since 1970.
            execution: its id.
            value: its input.
            data: further members of the event.
            context: the trace context of the event that starts it.
        """
        assert self.state.workflow is not None  # it is in the first event
        self.emit("occurrence.started", trigger, {"dueAt": due, "execution": execution, **data})
        parent = Parent(self.state.execution, trigger, 0) if trigger == AFTER else None
        key = ExecutionKey(SAME_TENANT, execution)
        start = Start(
            key,
            self.state.workflow,
            value,
            self.now,
            parent,
            traceparent=context.get(TRACEPARENT),
            tracestate=context.get(TRACESTATE),
        )
        self.outgoing.append(StartExecution(start))
