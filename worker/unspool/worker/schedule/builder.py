"""A decision of a schedule that is being built: the state so far, and what has been decided already."""

from dataclasses import dataclass, field
from typing import Final

from unspool.definitions.json_value import Json
from unspool.eventstore.events import Event
from unspool.eventstore.ids import derived_id
from unspool.eventstore.records import (
    ExecutionKey,
    Outgoing,
    Parent,
    Start,
    StartExecution,
    Timer,
)
from unspool.worker.interpreter.decision_builder import SAME_TENANT
from unspool.worker.schedule.evolve import COMPACTED, evolve, pointer_of
from unspool.worker.schedule.state import AFTER, ScheduleState, state_to_json

COMPACT_AFTER: Final = 200
"""Events after which a decision begins with one that holds the whole state."""


@dataclass(slots=True)
class ScheduleBuilder:
    """One decision of a schedule."""

    state: ScheduleState
    now: int
    """Milliseconds since 1970."""
    events: list[Event] = field(default_factory=list)
    timers: list[Timer] = field(default_factory=list)
    timers_cancelled: list[str] = field(default_factory=list)
    outgoing: list[Outgoing] = field(default_factory=list)
    compacted: bool = False
    """Whether the decision begins with the whole state."""

    def emit(self, type_: str, trigger: str | None, data: dict[str, Json]) -> None:
        """Decides an event, and lets the state follow."""
        if not self.events and self.state.version - self.state.compacted_at >= COMPACT_AFTER:
            self.compacted = True
            self._append(COMPACTED, None, state_to_json(self.state))
        self._append(type_, None if trigger is None else pointer_of(trigger), data)

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

    def start(self, trigger: str, due: int) -> None:
        """Starts the execution of an occurrence. Its id is derived, so an occurrence is started once.

        An execution of `after` has the schedule as its parent, so that its end becomes a message.
        """
        assert self.state.workflow is not None  # it is in the first event
        schedule = self.state.execution
        execution = derived_id(due, f"{schedule}/{trigger}/{due}")
        self.emit("occurrence.started", trigger, {"dueAt": due, "execution": execution})
        parent = Parent(schedule, trigger, 0) if trigger == AFTER else None
        key = ExecutionKey(SAME_TENANT, execution)
        self.outgoing.append(StartExecution(Start(key, self.state.workflow, {}, self.now, parent)))
