"""Schedules: list, pause and resume them."""

import asyncio
from collections.abc import Awaitable, Callable

from starlette.responses import Response

from unspool.api.calls import Call, json_response
from unspool.api.executions import MAX_WAIT_SECONDS
from unspool.api.problems import HttpProblem
from unspool.api.representations import schedule_json
from unspool.eventstore.records import ExecutionKey, Message, MessageKind
from unspool.eventstore.waiting import done_before
from unspool.worker.schedule.operations import (
    PAUSED_BY,
    current_schedule,
    current_schedules,
    key_of,
    wait_until_paused,
)
from unspool.worker.schedule.state import ScheduleState


async def list_schedules(call: Call) -> Response:
    """Lists the schedules of the tenant, by id."""
    found = await current_schedules(call.store, call.tenant)
    return json_response({"items": [schedule_json(state) for state in found]})


def operation(kind: MessageKind) -> Callable[[Call], Awaitable[Response]]:
    """Returns a handler that sends this message to a schedule; with `wait`, waits for its effect."""

    async def operate(call: Call) -> Response:
        wait = call.seconds("wait", maximum=MAX_WAIT_SECONDS)
        key = key_of(call.tenant, call.request.path_params["id"])
        state = await _schedule(call, key)
        await call.store.send(call.tenant, Message(kind, state.execution, call.actor().data()))
        applied = False
        if wait is not None and key is not None:
            effect = wait_until_paused(call.store, key, paused=PAUSED_BY[kind])
            ends = asyncio.sleep(wait), call.client_disconnected(), call.services.closing.wait()
            applied = await done_before(effect, *ends)
            state = await _schedule(call, key)
        return json_response(schedule_json(state), 200 if applied else 202)

    return operate


async def _schedule(call: Call, key: ExecutionKey | None) -> ScheduleState:
    state = None if key is None else await current_schedule(call.store, key)
    if state is None:
        raise HttpProblem(404, "there is no schedule with that id; an id is namespace.name")
    return state
