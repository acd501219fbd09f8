"""What an event does to a schedule: it starts an execution, or is held until there are enough events."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from unspool.definitions.evaluable import Evaluable
from unspool.definitions.event_reading import Read
from unspool.definitions.expressions import LimitExceeded, json_size
from unspool.definitions.json_value import Json
from unspool.eventstore.cloud_events import digest_of
from unspool.eventstore.ids import derived_id
from unspool.eventstore.monitoring.trace_context import TRACEPARENT, TRACESTATE, checked_context
from unspool.eventstore.published_events import CloudEvent
from unspool.worker.interpreter.decision_builder import MAX_DECISION_SIZE
from unspool.worker.interpreter.event_consumption import is_met, open_places
from unspool.worker.interpreter.listening import read
from unspool.worker.schedule.builder import ScheduleBuilder
from unspool.worker.schedule.event_matcher import EventMatcher, EventScope
from unspool.worker.schedule.state import ON

MAX_SETS: Final = 10_000
"""Incomplete sets of a schedule. With one more, the oldest is dropped."""

MAX_HELD: Final = 4 * 1024 * 1024
"""Characters of the events of all incomplete sets of a schedule. With more, the oldest sets are dropped."""

_SHOWN: Final = 200
"""Characters of `source` and `id` of an event in the history."""


def offer(builder: ScheduleBuilder, matcher: EventMatcher, event: CloudEvent, default: Read) -> None:
    """Consumes an event if a filter matches it; else nothing happens.

    Args:
        builder: the decision.
        matcher: matches with the filters of the schedule.
        event: the event.
        default: how events are read if the author does not say it.
    """
    scope = matcher.scope()
    how = matcher.trigger.read or default
    if matcher.trigger.collects:
        _hold(builder, matcher, scope, event, how)
    elif any(
        matcher.values(scope, place, event) is not None
        for place in range(len(matcher.trigger.events.filters))
    ):
        builder.add_size(_size_of(event))
        shown = {name: str(event.get(name))[:_SHOWN] for name in ("source", "id")}
        _start(builder, [event], how, {"event": shown})


def _start(builder: ScheduleBuilder, events: Sequence[CloudEvent], how: Read, data: dict[str, Json]) -> None:
    values = [read(event, how) for event in events]
    execution = execution_of(builder.state.execution, events)
    context = checked_context(events[-1].get(TRACEPARENT), events[-1].get(TRACESTATE))
    builder.start(ON, builder.now, execution, values, data, context)


def execution_of(schedule: str, events: Sequence[CloudEvent]) -> str:
    """Returns the id of the execution that these events start. It is the same for the same events."""
    digests = "/".join(digest_of(event).hex() for event in events)
    return derived_id(_time_of(events[-1]), f"{schedule}/{ON}/{digests}")


def _time_of(event: CloudEvent) -> int:
    """The attribute `time` in milliseconds since 1970; 0 without one. Unlike the clock, it never changes."""
    try:
        return max(0, int(datetime.fromisoformat(str(event.get("time")).upper()).timestamp() * 1000))
    except (ValueError, OverflowError):
        return 0


# -- sets


def _hold(
    builder: ScheduleBuilder, matcher: EventMatcher, scope: EventScope, event: CloudEvent, how: Read
) -> None:
    """Adds an event to the set of its correlations, or begins one.

    An event of `until` begins no set, and is for no other filter then. A filter that has consumed an event
    consumes no other one, so there is one set for all events with the same values (inventory C8).
    """
    consumption = matcher.trigger.events
    for place in open_places(consumption, ()):
        values = matcher.values(scope, place, event)
        if values is None:
            continue
        is_until = place >= len(consumption.strategy.filters)
        sets, partition = builder.state.sets, matcher.partition(values)
        agreeing = sets.agreeing(partition, values)
        open_ = [each for each in agreeing if place in open_places(consumption, sets.by_number[each].filters)]
        if open_ or not (agreeing or is_until):
            data: dict[str, Json] = {"set": open_[0] if open_ else sets.next, "filter": place}
            data |= {"until": True} if is_until else {"event": event}
            _consume(builder, data, values, None if open_ else partition)
            _end(builder, matcher, scope, data["set"], how)
            return
        if is_until and not agreeing:
            return


def _consume(
    builder: ScheduleBuilder, data: dict[str, Json], values: dict[str, Json], partition: str | None
) -> None:
    found = builder.state.sets.by_number.get(data["set"])
    keys = {name: value for name, value in values.items() if found is None or name not in found.keys}
    size = _size_of([data.get("event"), keys])
    builder.add_size(size)
    data = {**data, "size": size}
    if keys:
        data["keys"] = keys
    if partition is not None:
        data["partition"] = partition
    builder.emit("event.received", ON, data)


def _end(builder: ScheduleBuilder, matcher: EventMatcher, scope: EventScope, number: int, how: Read) -> None:
    """Starts an execution if a set is complete. Otherwise drops the oldest sets if there are too many."""
    found = builder.state.sets.by_number[number]

    def holds(condition: Evaluable) -> bool:
        return matcher.holds(scope, condition, [read(event, how) for event in found.events])

    if is_met(matcher.trigger.events, found.filters, len(found.events), holds):
        builder.add_size(found.size)
        _start(builder, found.events, how, {"set": number})
        return
    while len(builder.state.sets.by_number) > MAX_SETS or builder.state.sets.size > MAX_HELD:
        oldest = builder.state.sets.oldest
        events = len(builder.state.sets.by_number[oldest].events)
        builder.emit("correlation.dropped", ON, {"set": oldest, "events": events})


def _size_of(value: Json) -> int:
    try:
        return json_size(value)
    except LimitExceeded:
        return max(MAX_HELD, MAX_DECISION_SIZE) + 1
