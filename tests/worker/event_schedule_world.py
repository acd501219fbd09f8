"""A world for schedules that events trigger: events reach it through the index, decide is real."""

import json
from dataclasses import dataclass, field
from typing import Any

from unspool.definitions.event_reading import Read
from unspool.definitions.expressions import JqRunner
from unspool.definitions.schedules.event_trigger import EventTrigger, event_trigger_of
from unspool.eventstore.events import Event, decode_entry, encode_entry
from unspool.eventstore.records import Message, MessageKind, Start, StartExecution, WorkflowRef
from unspool.worker.interpreter.event_index import EventKeys
from unspool.worker.schedule.decide import Decision, decide
from unspool.worker.schedule.evolve import fold
from unspool.worker.schedule.rules import Missed, Rules
from unspool.worker.schedule.state import ScheduleState

ID = "$schedule.shop.report"


def event(type_: str, id_: Any, data: Any = None, **attributes: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "id": str(id_), "source": "/s", "type": type_, "data": data, **attributes}


@dataclass
class World:
    """One schedule. Published events reach it through the index, as in a store."""

    read: Read = Read.DATA
    now: int = 1_700_000_000_000
    state: ScheduleState = field(default_factory=lambda: ScheduleState(ID))
    triggers: dict[WorkflowRef, EventTrigger] = field(default_factory=dict)
    history: list[Event] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    subscription: Any = None
    keys: EventKeys = field(default_factory=EventKeys)

    def deploy(self, schedule: dict[str, Any], version: str = "1.0.0", jq: JqRunner | None = None) -> "World":
        document = {"dsl": "1.0.3", "namespace": "shop", "name": "report", "version": version}
        trigger = event_trigger_of(json.dumps({"document": document, "schedule": schedule, "do": []}), jq)
        workflow = WorkflowRef("shop", "report", version)
        if trigger is not None:
            self.triggers[workflow] = trigger
        body = {"workflow": [*workflow], "schedule": schedule}
        if self.state.version == 0:
            return self.send(MessageKind.START, input=body)
        return self.send(MessageKind.DEPLOY, **body)

    def send(self, kind: MessageKind, **body: Any) -> "World":
        self.decide([Message(kind, ID, body)])
        return self

    def decide(self, messages: list[Message]) -> Decision:
        rules = Rules(None, Missed.ONCE, self.read)  # type: ignore[arg-type]  # no trigger is a time
        decision = decide(self.state, messages, self.now, rules, self.triggers)
        assert decide(self.state, messages, self.now, rules, self.triggers) == decision
        assert fold(self.state, decision.events) == decision.state, "the events do not say all"
        if decision.events:
            assert decode_entry(encode_entry(decision.events)) == decision.events
        self.state = decision.state
        self.history += decision.events
        self.subscription = decision.subscriptions.get("on", self.subscription)
        self.starts += [each.start for each in decision.outgoing if isinstance(each, StartExecution)]
        return decision

    def publish(self, *events: dict[str, Any]) -> "World":
        messages = [
            Message(MessageKind.EVENT, ID, {"run": "on", "event": each})
            for each in events
            if self.subscription is not None
            and {entry.key for entry in self.subscription}
            & {*self.keys(tuple({entry.shape for entry in self.subscription}), each)}
        ]
        while messages:
            messages = messages[self.decide(messages).read :]
        return self

    @property
    def inputs(self) -> list[Any]:
        return [start.input for start in self.starts]

    def types(self) -> list[str]:
        return [each.type for each in self.history]
