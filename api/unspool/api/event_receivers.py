"""One published event: the executions that accepted it, and those that listen now and nearly did.

All of it is read only for a request, in a bounded part of the store, so publishing and matching cost no more.
"""

import asyncio
from collections.abc import Sequence
from time import monotonic
from typing import Final, NamedTuple

from starlette.responses import Response

from unspool.api.bounded_work import EXPLANATIONS
from unspool.api.calls import Call, json_response
from unspool.api.problems import HttpProblem
from unspool.definitions.compile import plan_of
from unspool.definitions.expressions import JqRunner
from unspool.definitions.json_value import Json
from unspool.definitions.plan import Plan
from unspool.eventstore.built_in import is_built_in
from unspool.eventstore.clock import rfc3339
from unspool.eventstore.published_events import CloudEvent
from unspool.eventstore.records import ExecutionKey, ExecutionRecord, Loaded, WorkflowRef
from unspool.worker.state_cache import cached_state_of
from unspool.worker.why.refused_event import task_misses

MOST_ACCEPTED: Final = 100
"""Executions that are told."""

MOST_LISTENERS: Final = 100
"""Executions that are compared with an event."""

_SECONDS: Final = 2.0
"""How long they are compared. A condition of an author may take long."""

_TOGETHER: Final = 10
"""Executions that are in memory at a time."""

_ENTRIES: Final = 200
"""Commits after the snapshot of a listener. One that has more of them is left out."""


async def show(call: Call) -> Response:
    """Returns an event of the bus, who accepted it, and whose conditions it did not meet."""
    with EXPLANATIONS.place(call.tenant):
        return await _shown(call)


async def _shown(call: Call) -> Response:
    try:
        found = await call.store.published_event(call.tenant, call.request.path_params["position"])
    except ValueError:
        found = None
    if found is None:
        raise HttpProblem(404, "the bus has no event at this position, or no longer")
    accepted = await call.store.accepted_by(call.tenant, found.event)
    listening = await call.store.listening(call.tenant, MOST_LISTENERS)
    others = [id_ for id_ in listening if id_ not in accepted and not is_built_in(id_)]
    shown: list[Json] = [*await _accepted(call, accepted[:MOST_ACCEPTED])]
    near = await _near_misses(call, others, found.event)
    misses: list[Json] = [*near.found]
    return json_response(
        {
            "position": found.position,
            "publishedAt": rfc3339(found.published_at),
            "event": found.event,
            "acceptedBy": shown,
            "acceptedByMore": max(0, len(accepted) - MOST_ACCEPTED),
            "nearMisses": misses,
            "compared": near.compared,
            "comparedAll": near.compared == len(others) and len(listening) < MOST_LISTENERS,
        }
    )


async def _accepted(call: Call, ids: Sequence[str]) -> list[dict[str, Json]]:
    """The executions that accepted an event; without those that were deleted since."""
    records = await asyncio.gather(*(call.store.execution(ExecutionKey(call.tenant, id_)) for id_ in ids))
    return [_receiver(record) for record in records if record is not None]


def _receiver(record: ExecutionRecord) -> dict[str, Json]:
    """An execution; or a schedule, which is named `namespace.name`."""
    if is_built_in(record.key.id):
        return {"schedule": record.key.id.partition(".")[2]}
    return {
        "execution": record.key.id,
        "workflow": record.workflow._asdict(),
        "status": record.status.value,
    }


class _Near(NamedTuple):
    """Who nearly accepted an event."""

    found: list[dict[str, Json]]
    compared: int
    """Executions that were compared in time."""


async def _near_misses(call: Call, ids: Sequence[str], event: CloudEvent) -> _Near:
    """Compares an event with what executions listen for, a few executions at a time, for a bounded time."""
    jq, now = call.services.engine.jq.for_tenant(call.tenant), call.services.clock.now()
    plans: dict[WorkflowRef, Plan] = {}
    near, left = _Near([], 0), _SECONDS
    for first in range(0, len(ids), _TOGETHER):
        keys = [ExecutionKey(call.tenant, id_) for id_ in ids[first : first + _TOGETHER]]
        loaded = [each for each in await call.store.load(keys, _ENTRIES) if each is not None]
        texts = await _texts(call, {each.record.workflow for each in loaded} - plans.keys())
        plans |= await EXPLANATIONS.run(_compiled, texts, jq)
        more, spent = await EXPLANATIONS.run(_compared, loaded, plans, event, now, left)
        gone, left = len(keys) - len(loaded), left - spent
        near = _Near(near.found + more.found, near.compared + more.compared + gone)
        if left <= 0:
            break
    return near


async def _texts(call: Call, workflows: set[WorkflowRef]) -> dict[WorkflowRef, str]:
    found = await asyncio.gather(*(call.store.definition(call.tenant, *ref) for ref in workflows))
    return {each.ref: each.text for each in found if each is not None}


def _compiled(texts: dict[WorkflowRef, str], jq: JqRunner) -> dict[WorkflowRef, Plan]:
    return {ref: plan_of(text, jq) for ref, text in texts.items()}


def _compared(
    loaded: Sequence[Loaded], plans: dict[WorkflowRef, Plan], event: CloudEvent, now: int, seconds: float
) -> tuple[_Near, float]:
    """Compares an event with executions. Returns also the seconds that it took."""
    began = monotonic()
    deadline = began + seconds
    found: list[dict[str, Json]] = []
    for compared, each in enumerate(loaded):
        plan, state = plans.get(each.record.workflow), cached_state_of(each).state
        if plan is not None and state.version == each.record.version:
            misses = task_misses(plan, state, event, now, deadline)
            found += [{**_receiver(each.record), **miss.to_json()} for miss in misses]
        if monotonic() > deadline:
            return _Near(found, compared), seconds
    return _Near(found, len(loaded)), monotonic() - began
