"""Idempotency keys of the executions that a schedule starts (docs/decisions/0008-idempotency-keys.md).

Keys are claimed after the decision and before the commit, because `decide` does no I/O. The history then has
the execution that has the key, or the reason why there is none.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import replace

from unspool.eventstore.events import Event
from unspool.eventstore.records import (
    ExecutionKey,
    Message,
    MessageKind,
    Outgoing,
    SendMessage,
    Start,
    StartExecution,
)
from unspool.worker.idempotency_keys import IdempotencyKeys, NoKey
from unspool.worker.interpreter.decision_builder import SAME_TENANT
from unspool.worker.schedule.decide import Decision
from unspool.worker.schedule.evolve import fold
from unspool.worker.schedule.state import ScheduleState

_Resolved = Mapping[str, Start | NoKey]
"""By id of the decided execution: the start under the id that has its key, or why there is no key."""


async def with_keys(
    keys: IdempotencyKeys, tenant: str, before: ScheduleState, decision: Decision
) -> Decision:
    """The decision with the executions that have the keys of its starts.

    A start whose key another execution has joins that one. A start without a key does not take place.
    """
    starts = [each.start for each in decision.outgoing if isinstance(each, StartExecution)]
    workflows = {each.workflow for each in starts}
    keyed = {workflow for workflow in workflows if await keys.has_rule(tenant, workflow)}
    if not keyed:
        return decision
    resolved = await asyncio.gather(
        *(_resolve(keys, tenant, each) for each in starts if each.workflow in keyed)
    )
    return _settled(before, decision, dict(resolved))


async def _resolve(keys: IdempotencyKeys, tenant: str, start: Start) -> tuple[str, Start | NoKey]:
    id_ = start.key.id
    try:
        found = await keys.resolve(replace(start, key=ExecutionKey(tenant, id_)))
    except NoKey as cause:
        return id_, cause
    return id_, replace(found, key=ExecutionKey(SAME_TENANT, found.key.id))


def _settled(before: ScheduleState, decision: Decision, resolved: _Resolved) -> Decision:
    events = tuple(_settled_event(event, resolved) for event in decision.events)
    outgoing = tuple(part for each in decision.outgoing for part in _settled_start(each, resolved))
    return decision._replace(state=fold(before, events), events=events, outgoing=outgoing)


def _settled_event(event: Event, resolved: _Resolved) -> Event:
    if event.type != "occurrence.started":
        return event
    child = event.data["execution"]
    found = resolved.get(child)
    if isinstance(found, NoKey):
        rest = {name: value for name, value in event.data.items() if name != "execution"}
        return event._replace(type="occurrence.failed", data={**rest, "cause": str(found)})
    if found is None or found.key.id == child:
        return event
    return event._replace(data={**event.data, "execution": found.key.id, "child": child})


def _settled_start(each: Outgoing, resolved: _Resolved) -> Iterator[Outgoing]:
    found = resolved.get(each.start.key.id) if isinstance(each, StartExecution) else None
    if not isinstance(each, StartExecution) or found is None:
        yield each
    elif isinstance(found, Start):
        yield StartExecution(found)
        if found.parent is not None:  # the schedule waits for its end, also if it has another parent
            waits = {"execution": found.parent.execution, "run": found.parent.run, "child": each.start.key.id}
            yield SendMessage(Message(MessageKind.JOIN, found.key.id, waits))
