"""`decide(state, message, now, rules) -> Decision`: what a message leads to, for a schedule.

A message that has been answered already leads to nothing: no events.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from unspool.definitions.json_value import Json
from unspool.definitions.schedules import Schedule, parse_schedule
from unspool.eventstore.events import Event
from unspool.eventstore.records import (
    Message,
    MessageKind,
    Outgoing,
    Status,
    Timer,
    WorkflowRef,
)
from unspool.eventstore.semver import order
from unspool.worker.schedule.builder import ScheduleBuilder
from unspool.worker.schedule.rules import Missed, Rules
from unspool.worker.schedule.state import AFTER, ScheduleState

MAX_MISSED: Final = 1000
"""Missed occurrences that are started with `Missed.ALL`: the newest."""

MAX_STARTS: Final = 100
"""Executions that one commit starts. The next ones follow at once, in another commit."""

LATE: Final = 60_000
"""Milliseconds after which the newest occurrence counts as missed, too."""


class Decision(NamedTuple):
    """What was decided."""

    state: ScheduleState
    events: tuple[Event, ...] = ()
    timers: tuple[Timer, ...] = ()
    timers_cancelled: tuple[str, ...] = ()
    outgoing: tuple[Outgoing, ...] = ()
    """Starts name the tenant `SAME_TENANT`."""
    obsolete_before: int = 0
    """The events before this one are in no state any more, and may be deleted."""


def decide(state: ScheduleState, message: Message, now: int, rules: Rules) -> Decision:
    """Decides what a message leads to.

    Args:
        state: the schedule as of its newest event.
        message: what has happened.
        now: milliseconds since 1970.
        rules: what is set for all schedules.

    Raises:
        BadCron, BadDuration: the schedule is not valid. It was checked when it was deployed.
    """
    handler = _HANDLERS.get(message.kind)
    if handler is None:
        return Decision(state)
    builder = ScheduleBuilder(state, _not_before(now, state, message))
    handler(builder, message.body, rules)
    return Decision(
        builder.state,
        tuple(builder.events),
        tuple(builder.timers),
        tuple(builder.timers_cancelled),
        tuple(builder.outgoing),
        state.compacted_at if builder.compacted else 0,
    )


def _not_before(now: int, state: ScheduleState, message: Message) -> int:
    """The time of a decision. A timer fired by the store's clock, and ours may be a little behind it."""
    fired = message.body.get("timer")
    due = (trigger.due for trigger in state.triggers.values() if fired is not None and trigger.timer == fired)
    return max(now, next(due, None) or now)


# -- the messages


def _start(builder: ScheduleBuilder, body: dict[str, Json], rules: Rules) -> None:
    _deploy(builder, body["input"], rules)


def _deploy(builder: ScheduleBuilder, body: dict[str, Json], rules: Rules) -> None:
    """Follows the highest version: running executions of the one before go on."""
    workflow, before = WorkflowRef(*body["workflow"]), builder.state
    if before.workflow is not None and order(workflow.version) <= order(before.workflow.version):
        return
    builder.emit("schedule.deployed", None, {"workflow": workflow._asdict(), "schedule": body["schedule"]})
    for name, trigger in before.triggers.items():
        if trigger.timer is not None and builder.timer_of(name) != trigger.timer:
            builder.timers_cancelled.append(trigger.timer)
    _schedule_all(builder, rules)


def _timer_fired(builder: ScheduleBuilder, body: dict[str, Json], rules: Rules) -> None:
    for name, trigger in builder.state.triggers.items():
        if trigger.timer == body["timer"] and trigger.due is not None:
            if name == AFTER:
                builder.start(name, trigger.due)
            else:
                _start_due(builder, name, trigger.due, rules)
            return


def _child_ended(builder: ScheduleBuilder, body: dict[str, Json], rules: Rules) -> None:
    """The execution of `after` has ended. Its fault is no reason to stop, an operator's cancellation is."""
    trigger = builder.state.triggers.get(AFTER)
    if trigger is None or trigger.execution != body["child"]:
        return
    builder.emit("execution.ended", AFTER, {"execution": body["child"], "status": body["status"]})
    if body["status"] != Status.CANCELLED:
        _schedule_all(builder, rules)


def _pause(builder: ScheduleBuilder, _: dict[str, Json], rules: Rules) -> None:
    state = builder.state
    if not state.paused and state.triggers:
        timers = [trigger.timer for trigger in state.triggers.values() if trigger.timer is not None]
        builder.emit("schedule.paused", None, {})
        builder.timers_cancelled += timers


def _resume(builder: ScheduleBuilder, _: dict[str, Json], rules: Rules) -> None:
    """What was due during the pause is not started. An `after` that was cancelled begins again."""
    state = builder.state
    if state.paused or any(trigger.idle for trigger in state.triggers.values()):
        builder.emit("schedule.resumed", None, {})
        _schedule_all(builder, rules)


# -- occurrences


def _schedule_all(builder: ScheduleBuilder, rules: Rules) -> None:
    """Sets the timer of each trigger that has none and waits for nothing else."""
    if builder.state.paused:
        return
    schedule = parse_schedule(builder.state.schedule, rules.zone)
    for name, trigger in builder.state.triggers.items():
        if trigger.idle:
            builder.schedule(name, _first(builder, schedule, name))


def _first(builder: ScheduleBuilder, schedule: Schedule, name: str) -> int | None:
    trigger = builder.state.triggers[name]
    if name != AFTER:
        return schedule.series(name, trigger.since).first_after(builder.now)
    if trigger.ended_at is None or schedule.after is None:
        return builder.now
    return schedule.after.due(trigger.ended_at)


def _start_due(builder: ScheduleBuilder, name: str, due: int, rules: Rules) -> None:
    """Starts what is due, and sets the next timer.

    Normally one occurrence is due. There are more after an outage, or if executions are started more slowly
    than the schedule demands.
    """
    trigger, now = builder.state.triggers[name], builder.now
    series = parse_schedule(builder.state.schedule, rules.zone).series(name, trigger.since)
    occurrences = series.newest(due, now, MAX_MISSED if rules.missed is Missed.ALL else 1)
    if rules.missed is Missed.SKIP and occurrences and now - occurrences[-1] > LATE:
        occurrences = []
    if not occurrences or occurrences[0] > due:
        first_started = occurrences[0] if occurrences else now
        builder.emit("occurrences.missed", name, {"from": due, "before": first_started})
    for occurrence in occurrences[:MAX_STARTS]:
        builder.start(name, occurrence)
    left = occurrences[MAX_STARTS:]
    builder.schedule(name, left[0] if left else series.first_after(now))


_HANDLERS: Final[Mapping[MessageKind, Callable[[ScheduleBuilder, dict[str, Json], Rules], None]]] = {
    MessageKind.START: _start,
    MessageKind.DEPLOY: _deploy,
    MessageKind.TIMER_FIRED: _timer_fired,
    MessageKind.CHILD_ENDED: _child_ended,
    MessageKind.SUSPEND: _pause,
    MessageKind.RESUME: _resume,
}
