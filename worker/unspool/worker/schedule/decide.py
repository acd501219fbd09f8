"""`decide(state, messages, now, rules, triggers) -> Decision`: what messages lead to, for a schedule.

A message that has been answered already leads to nothing: no events.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from unspool.definitions.json_value import Json
from unspool.definitions.schedules import Schedule, parse_schedule
from unspool.eventstore.actors import actor_in
from unspool.eventstore.events import Event
from unspool.eventstore.published_events import IndexEntry
from unspool.eventstore.records import Message, MessageKind, Outgoing, Status, Timer, WorkflowRef
from unspool.eventstore.semver import order
from unspool.worker.interpreter import MAX_EVENTS
from unspool.worker.schedule.builder import EventTriggers, ScheduleBuilder
from unspool.worker.schedule.event_starts import offer
from unspool.worker.schedule.limits import MAX_STARTS
from unspool.worker.schedule.rules import Missed, Rules
from unspool.worker.schedule.state import AFTER, ON, ScheduleState

MAX_MISSED: Final = 1000
"""Missed occurrences that are started with `Missed.ALL`: the newest."""

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
    subscriptions: Mapping[str, tuple[IndexEntry, ...] | None] = {}
    """By run: what it is subscribed to now, or None if it no longer is."""
    obsolete_before: int = 0
    """The events before this one are in no state any more, and may be deleted."""
    read: int = 0
    """How many messages were read. The others are for the next decision, because this one is long enough."""


def decide(
    state: ScheduleState,
    messages: Sequence[Message],
    now: int,
    rules: Rules,
    triggers: EventTriggers,
    *,
    enough: Callable[[int], bool] = MAX_EVENTS.__le__,
) -> Decision:
    """Decides what messages lead to, one after the other.

    Args:
        state: the schedule as of its newest event.
        messages: what has happened.
        now: milliseconds since 1970.
        rules: what is set for all schedules.
        triggers: the events that start the present version, and those that the messages deploy.
        enough: gets the number of events; returns whether the decision stops there.

    Raises:
        BadCron, BadDuration: the schedule is not valid. It was checked when it was deployed.
        Fault: an expression of `schedule.on` that reads no event fails.
    """
    builder = ScheduleBuilder(state, _not_before(now, state, messages), triggers, enough)
    read = 0
    for message in messages:
        read += 1
        handler = _HANDLERS.get(message.kind)
        if handler is not None:
            handler(builder, message.body, rules)
        if builder.full:
            break
    return Decision(
        builder.state,
        tuple(builder.events),
        tuple(builder.timers),
        tuple(builder.timers_cancelled),
        tuple(builder.outgoing),
        builder.subscriptions,
        state.compacted_at if builder.compacted else 0,
        read,
    )


def _not_before(now: int, state: ScheduleState, messages: Sequence[Message]) -> int:
    """The time of a decision. A timer fired by the store's clock, and ours may be a little behind it."""
    fired = {message.body["timer"] for message in messages if message.kind is MessageKind.TIMER_FIRED}
    due = (trigger.due or 0 for trigger in state.triggers.values() if trigger.timer in fired)
    return max(now, *due, 0)


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
    if ON in before.triggers or ON in builder.state.triggers:
        builder.subscribe()
    _schedule_all(builder, rules)


def _timer_fired(builder: ScheduleBuilder, body: dict[str, Json], rules: Rules) -> None:
    for name, trigger in builder.state.triggers.items():
        if trigger.timer == body["timer"] and trigger.due is not None:
            if name == AFTER:
                builder.start_due(name, trigger.due)
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


def _pause(builder: ScheduleBuilder, body: dict[str, Json], rules: Rules) -> None:
    """What was due and has not started is missed, so that it is in the history."""
    state = builder.state
    if not state.paused and state.triggers:
        for name, trigger in state.triggers.items():
            if name != AFTER and trigger.due is not None and trigger.due < builder.now:
                builder.emit("occurrences.missed", name, {"from": trigger.due, "before": builder.now})
        timers = [trigger.timer for trigger in state.triggers.values() if trigger.timer is not None]
        builder.emit("schedule.paused", None, actor_in(body))
        builder.timers_cancelled += timers
        if ON in state.triggers:
            builder.subscribe()


def _resume(builder: ScheduleBuilder, body: dict[str, Json], rules: Rules) -> None:
    """What was due during the pause is not started. An `after` that was cancelled begins again."""
    state = builder.state
    if state.paused or state.idle:
        builder.emit("schedule.resumed", None, actor_in(body))
        if ON in state.triggers and state.paused:
            builder.subscribe()
        _schedule_all(builder, rules)


def _event(builder: ScheduleBuilder, body: dict[str, Json], rules: Rules) -> None:
    """An event that was published before a pause may arrive during the pause: it starts nothing."""
    matcher = None if builder.state.paused else builder.matcher
    if matcher is not None:
        offer(builder, matcher, body["event"], rules.read)


# -- occurrences


def _schedule_all(builder: ScheduleBuilder, rules: Rules) -> None:
    """Sets the timer of each trigger that has none and waits for nothing else."""
    if builder.state.paused:
        return
    schedule = parse_schedule(builder.state.schedule, rules.zone)
    for name in builder.state.idle:
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
    most = MAX_MISSED if rules.missed is Missed.ALL else 1
    # What was due is an occurrence, also if the series has changed since then, with the time zone.
    occurrences = [due, *series.newest(due + 1, now, most)][-most:]
    if rules.missed is Missed.SKIP and now - occurrences[-1] > LATE:
        occurrences = []
    if not occurrences or occurrences[0] > due:
        first_started = occurrences[0] if occurrences else now
        builder.emit("occurrences.missed", name, {"from": due, "before": first_started})
    for occurrence in occurrences[:MAX_STARTS]:
        builder.start_due(name, occurrence)
    left = occurrences[MAX_STARTS:]
    builder.schedule(name, left[0] if left else series.first_after(now))


_HANDLERS: Final[Mapping[MessageKind, Callable[[ScheduleBuilder, dict[str, Json], Rules], None]]] = {
    MessageKind.START: _start,
    MessageKind.DEPLOY: _deploy,
    MessageKind.TIMER_FIRED: _timer_fired,
    MessageKind.CHILD_ENDED: _child_ended,
    MessageKind.EVENT: _event,
    MessageKind.SUSPEND: _pause,
    MessageKind.RESUME: _resume,
}
