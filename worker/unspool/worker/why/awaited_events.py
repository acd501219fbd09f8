"""Reasons of tasks that listen: which events they wait for, and which came near."""

from unspool.definitions.event_filter import EventFilter
from unspool.definitions.json_value import Json
from unspool.definitions.plan import Plan
from unspool.definitions.tasks.listen import Listen
from unspool.eventstore.clock import rfc3339
from unspool.worker.interpreter.listening import Listening
from unspool.worker.interpreter.reading import scope_of
from unspool.worker.interpreter.run import Run
from unspool.worker.interpreter.state import State
from unspool.worker.interpreter.tasks.listen import open_filters
from unspool.worker.why.facts import Facts, Reason, short, shown
from unspool.worker.why.near_misses import near_misses


def event_reason(plan: Plan, state: State, run: Run, facts: Facts) -> Reason:
    """Returns why a run waits for events."""
    since = None if run.started_at is None else rfc3339(run.started_at)
    task, listening = plan.tasks.get(run.task), run.progress
    if task is None or not isinstance(task.body, Listen) or not isinstance(listening, Listening):
        return Reason("event", run.task, "waits for an event", {"since": since})
    body = task.body
    places = open_filters(body, listening)
    wanted = [_wanted(body.to.filters[place], listening, place) for place in places]
    scope = scope_of(plan, state, run, facts.now)
    misses = near_misses(scope, body, listening, facts.events, facts.history, facts.deadline)
    text = f"waits for {' or '.join(map(_text, wanted)) or 'the end of its iterations'}"
    if body.to.strategy.all and len(wanted) > 1:
        text = text.replace(" or an event", " and an event")
    if listening.received:
        text += f", after {listening.received} that it has consumed"
    if misses:
        text += f"; the last that came near, {misses[0].text}"
    members: dict[str, Json] = {
        "since": since,
        "consumed": listening.received,
        "events": [*wanted],
        "nearMisses": [miss.to_json() for miss in misses],
    }
    return Reason("event", run.task, text, members)


def _wanted(filter_: EventFilter, listening: Listening, place: int) -> dict[str, Json]:
    """What an event of a filter must have: values by attribute, and by correlation."""
    expected = listening.expected[place] if place < len(listening.expected) else {}
    known = {**listening.keys, **expected.get("keys", {})}
    attributes = {**filter_.literals, **expected.get("attributes", {})}
    others: list[Json] = sorted(filter_.conditions)
    correlations: dict[str, Json] = {
        each.name: {"from": each.source, "value": short(known.get(each.name))}
        for each in filter_.correlations
    }
    return {
        "attributes": {name: short(value) for name, value in attributes.items()},
        "conditions": others,
        "correlations": correlations,
    }


def _text(wanted: dict[str, Json]) -> str:
    attributes = dict(wanted["attributes"])
    text = "an event"
    if "type" in attributes:
        text += f" of type {shown(attributes.pop('type'))}"
    parts = [f"{name} {shown(value)}" for name, value in attributes.items()]
    parts += [
        f"{name} = {shown(each['value'])}" if each["value"] is not None else f"any {name}"
        for name, each in wanted["correlations"].items()
    ]
    if wanted["conditions"]:
        parts.append(f"conditions on {' and '.join(wanted['conditions'])}")
    return text + (f" with {' and '.join(parts)}" if parts else "")
