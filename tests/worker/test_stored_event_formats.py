"""Histories with events and sub-workflows, and histories of schedules, stay readable for ever.

`python -m tests.worker.test_stored_event_formats` makes `histories/0.2.0-events.json`, which
`test_stored_formats` reads, and `schedule_histories/0.2.0.json`. Until release 0.2.0 they are made again if a
format changes; after it, never.
"""

import base64
import json
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
from tests.worker.test_schedule_decisions import BEGIN, World

from unspool.definitions.compile import compile_plan
from unspool.definitions.document import load
from unspool.definitions.expressions import JqPool
from unspool.eventstore.events import Event, decode_entry, encode_entry
from unspool.eventstore.records import Message, MessageKind, StartExecution
from unspool.worker.interpreter import State, decide
from unspool.worker.interpreter.snapshot import dump_state
from unspool.worker.schedule.evolve import fold
from unspool.worker.schedule.state import ScheduleState

HERE = Path(__file__).parent
SCHEDULES = sorted((HERE / "schedule_histories").glob("*.json"))

TALKING = """\
document: {dsl: '1.0.3', namespace: test, name: talking, version: '1.0.0'}
do:
  - say: {emit: {event: {with: {type: said, data: {n: 1}}}, output: {as: .data}}}
  - several:
      listen:
        to: {any: [{with: {type: one}}, {with: {type: two, subject: s}}], until: 'length == 2'}
        read: envelope
      foreach: {item: event, at: place, do: [{keep: {set: {type: '${ $event.type }', place: '${ $place }'}}}]}
  - both:
      listen:
        to:
          all:
            - {with: {type: one}, correlate: {order: {from: .data.order}}}
            - {with: {type: two}, correlate: {order: {from: .data.order}}}
      output: {as: 'map(.order)'}
  - ended: {listen: {to: {any: [{with: {type: one}}], until: {one: {with: {type: stop}}}}}}
  - child: {run: {workflow: {namespace: test, name: child, version: '1.0.0', input: {n: 1}}}}
  - failed:
      try: [{child: {run: {workflow: {namespace: test, name: child, version: '1.0.0'}}}}]
      catch: {do: [{caught: {set: {status: '${ $error.status }'}}}]}
  - joined: {run: {workflow: {namespace: test, name: child, version: '1.0.0'}}}
  - alone: {run: {workflow: {namespace: test, name: child, version: '1.0.0'}, await: false}}
"""

EVENTS = [
    *({"type": "one", "data": {"n": 1}}, {"type": "two", "subject": "s"}),
    *({"type": "two", "data": {"order": 7}}, {"type": "one", "data": {"order": 8}}),
    *({"type": "one", "data": {"order": 7}}, {"type": "one", "data": 1}, {"type": "stop"}),
]

NEW_EVENTS = {
    *("workflow.correlation-started", "event.received", "event.processed", "workflow.correlation-completed"),
    *("child.started", "child.joined"),
}


@pytest.fixture(params=SCHEDULES, ids=lambda path: path.stem)
def stored(request: pytest.FixtureRequest) -> Any:
    return json.loads(request.param.read_text())


def test_the_history_has_the_new_events() -> None:
    kept = json.loads((HERE / "histories" / "0.2.0-events.json").read_text())
    assert {event.type for event in _events(kept)} >= NEW_EVENTS


def test_a_history_of_a_schedule_is_read(stored) -> None:
    events = _events(stored)
    types = {event.type for event in events}
    assert types >= {"schedule.deployed", "occurrence.started", "schedule.paused", "schedule.compacted"}
    assert _shown(fold(ScheduleState(stored["id"]), events)) == stored["state"]


def test_a_history_that_begins_with_a_compaction_is_read(stored) -> None:
    events = _events(stored)
    first = max(place for place, event in enumerate(events) if event.type == "schedule.compacted")
    assert _shown(fold(ScheduleState(stored["id"]), events[first:])) == stored["state"]


def _events(stored: Any) -> list[Event]:
    return [event for entry in stored["entries"] for event in decode_entry(base64.b64decode(entry))]


def _shown(state: ScheduleState) -> Any:
    """What can be seen of a schedule."""
    shown = {"workflow": state.workflow, "status": state.status, "next": state.next, "last": state.last}
    triggers = {name: [each.value, each.since, each.due] for name, each in state.triggers.items()}
    return json.loads(json.dumps({**shown, "version": state.version, "triggers": triggers}))


def _encoded(entries: list[bytes]) -> list[str]:
    return [base64.b64encode(entry).decode() for entry in entries]


def _ends(children: int, run: str, child: str) -> list[Message]:
    """How the children end: with an output, with an error, after they joined another execution."""
    body = {"run": run, "child": child}
    error = {"type": "https://example.com/e", "status": 409, "instance": "/do/0/a"}
    if children == 2:
        return [Message(MessageKind.CHILD_ENDED, "e", {**body, "status": "faulted", "error": error})]
    end = Message(MessageKind.CHILD_ENDED, "e", {**body, "status": "completed", "output": {"n": children}})
    joined = Message(MessageKind.CHILD_JOINED, "e", {**body, "execution": "other"})
    return [end] if children == 1 else [joined, end]


def make_talking() -> dict[str, Any]:
    """Runs an execution with events and sub-workflows, and keeps what is stored of it."""
    entries, snapshots, children = [], [], 0
    events = [{"specversion": "1.0", "id": str(n), "source": "/s", **event} for n, event in enumerate(EVENTS)]
    with JqPool() as jq:
        plan = compile_plan(load(TALKING).value, jq)
        state, now = State("e"), 1_700_000_000_000
        inbox = [Message(MessageKind.START, "e", {"input": {"n": 1}})]
        while inbox:
            now += 1
            decision = decide(plan, state, inbox.pop(0), now)
            state = decision.state
            if decision.events:
                entries.append(encode_entry(decision.events))
                snapshots.append(dump_state(state))
            for each in decision.outgoing:
                if isinstance(each, StartExecution) and not state.status.ended:
                    children += 1
                    assert each.start.parent is not None
                    inbox += _ends(children, each.start.parent.run, each.start.key.id)
            listening = [run for run in state.runs.values() if run.phase == "listening"]
            if not inbox and listening:
                body = {"run": listening[0].id, "event": events.pop(0)}
                inbox.append(Message(MessageKind.EVENT, "e", body))
    assert state.status == "completed", (state.error, children)
    return {
        "definition": TALKING,
        "status": state.status,
        "output": state.output,
        "entries": _encoded(entries),
        "snapshots": _encoded(snapshots),
    }


def make_schedule() -> dict[str, Any]:
    """Runs a schedule for a while, and keeps what is stored of it."""
    world = World().deploy({"every": {"seconds": 1}, "cron": "*/5 * * * *", "after": {"seconds": 10}})
    world.until(BEGIN).end().until(BEGIN + 30_000).send(MessageKind.SUSPEND).send(MessageKind.RESUME)
    world.outage(BEGIN + 120_000).deploy({"every": {"seconds": 2}}, "1.1.0").until(BEGIN + 500_000)
    entries = [encode_entry(tuple(events)) for _, events in groupby(world.history, key=attrgetter("time"))]
    return {"id": world.state.execution, "state": _shown(world.state), "entries": _encoded(entries)}


if __name__ == "__main__":
    for path, kept in (
        ("histories/0.2.0-events.json", make_talking()),
        ("schedule_histories/0.2.0.json", make_schedule()),
    ):
        (HERE / path).parent.mkdir(exist_ok=True)
        (HERE / path).write_text(json.dumps(kept, indent=1) + "\n")
