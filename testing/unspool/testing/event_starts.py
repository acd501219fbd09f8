"""What events start: `schedule.on`, decided by the same program as in a worker."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import tzinfo
from typing import Final, NamedTuple

import orjson

from unspool.definitions.json_value import Json
from unspool.definitions.plan import Plan
from unspool.definitions.schedules.event_trigger import event_trigger_of
from unspool.eventstore.records import Message, MessageKind, StartExecution, WorkflowRef
from unspool.testing.jq import jq_pool
from unspool.testing.published import Publication, with_ids
from unspool.worker.schedule.decide import decide
from unspool.worker.schedule.rules import Missed, Rules
from unspool.worker.schedule.state import ON, ScheduleState

_SCHEDULE: Final = "test"


class EventStart(NamedTuple):
    """An execution that events start."""

    at: int
    """Milliseconds since 1970."""
    input: Json


def event_starts(plan: Plan, events: Sequence[Publication], since: int, zone: tzinfo) -> Iterator[EventStart]:
    """Yields what the events start, in the order of their times; nothing without `schedule.on`."""
    definition: Mapping[str, Json] = plan.definition
    trigger = event_trigger_of(orjson.dumps(definition).decode(), jq_pool())
    if trigger is None:
        return
    workflow, rules = WorkflowRef(plan.namespace, plan.name, plan.version), Rules(zone, Missed.ONCE)
    triggers = {workflow: trigger}
    only_events = {name: each for name, each in definition["schedule"].items() if name in {ON, "read"}}
    deployed = {"input": {"workflow": [*workflow], "schedule": only_events}}
    message = Message(MessageKind.START, _SCHEDULE, deployed)
    state = decide(ScheduleState(_SCHEDULE), [message], since, rules, triggers).state
    timed = [
        (since if each.after is None else each.after.due(since), each.event) for each in with_ids(events)
    ]
    for at, event in sorted(timed, key=lambda pair: pair[0]):
        message = Message(MessageKind.EVENT, _SCHEDULE, {"run": ON, "event": event})
        decision = decide(state, [message], at, rules, triggers)
        state = decision.state
        for outgoing in decision.outgoing:
            if isinstance(outgoing, StartExecution):
                yield EventStart(at, outgoing.start.input)
