"""Executions: starting, listing and showing them, and what an operator does to them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from starlette.responses import Response

from unspool.api.bodies import read_json
from unspool.api.calls import Call, answer
from unspool.api.problems import Refused
from unspool.api.representations import describe, other_than, refusal
from unspool.api.workflows import workflow_of
from unspool.definitions.json_value import Json
from unspool.eventstore import ids
from unspool.eventstore.errors import StoreUnavailable
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import (
    ExecutionFilter,
    ExecutionKey,
    ExecutionRecord,
    Message,
    MessageKind,
    Start,
    Status,
    WorkflowRef,
)
from unspool.eventstore.waiting import done_before

LONGEST_WAIT: Final = 3600
"""Seconds a caller may wait for an execution to end."""

MOST_ITEMS: Final = 200


class Wanted(NamedTuple):
    """What a request to start an execution says."""

    id: str | None
    input: Json


async def start(call: Call) -> Response:
    """Starts an execution, or finds the one started with the same id before; may wait for its end."""
    version = call.parameter("version")
    wait = call.seconds("wait", most=LONGEST_WAIT)
    wanted = await _wanted(call)
    workflow = await workflow_of(call, version)

    now = call.services.clock.now()
    key = ExecutionKey(call.tenant, wanted.id or ids.new_id(now))
    created = await call.store.start(Start(key, workflow, wanted.input, now))
    if created:
        record = ExecutionRecord(key, workflow, Status.PENDING, 0, now, pending_input=wanted.input)
    else:
        record = await _record(call.store, key)
        await _check_same(call.store, record, workflow, version, wanted.input)

    if wait is not None:
        record = await _waited(call, record, wait)
    status = 200 if not created or (wait is not None and record.status.ended) else 202
    location = f"/api/v1/executions/{key.id}"
    return answer(await describe(call.store, record), status, {"Location": location})


async def list_executions(call: Call) -> Response:
    """A page of executions, newest first."""
    wanted = ExecutionFilter(_status(call), _workflow(call))
    limit = call.whole("limit", least=1, most=MOST_ITEMS) or 50
    try:
        page = await call.store.executions(call.tenant, wanted, limit=limit, cursor=call.parameter("cursor"))
    except ValueError:
        raise Refused(422, "the cursor is none that a page of this list gave as `next`") from None
    items = await asyncio.gather(*(describe(call.store, record) for record in page.items))
    return answer({"items": items, "next": page.cursor})


async def show(call: Call) -> Response:
    """One execution."""
    return answer(await describe(call.store, await call.execution()))


def operation(kind: MessageKind) -> Callable[[Call], Awaitable[Response]]:
    """A handler that sends an execution a message, if its status allows that."""

    async def operate(call: Call) -> Response:
        record = await call.execution()
        if reason := refusal(kind, record.status):
            raise Refused(409, f"the execution {reason}")
        await call.store.send(call.tenant, Message(kind, record.key.id, {}))
        return answer(await describe(call.store, record), 202)

    return operate


async def _wanted(call: Call) -> Wanted:
    settings = call.services.settings
    body = await read_json(call.request, settings.most_input_bytes, settings.body_seconds)
    if not isinstance(body, dict):
        raise Refused(422, 'the body must be an object such as {"input": {}, "id": "order-7"}')
    if unknown := sorted(body.keys() - {"input", "id"}):
        raise Refused(422, f"unknown member {unknown[0][:80]!r}; known are input and id")
    id_ = body.get("id")
    if id_ is not None and not (isinstance(id_, str) and ids.EXECUTION_ID.fullmatch(id_)):
        raise Refused(422, f"id must be a string that matches {ids.EXECUTION_ID.pattern}")
    return Wanted(id_, body.get("input", {}))


async def _record(store: EventStore, key: ExecutionKey) -> ExecutionRecord:
    record = await store.execution(key)
    if record is None:
        raise Refused(404, "there is no execution of that id any more")
    return record


async def _check_same(
    store: EventStore, record: ExecutionRecord, workflow: WorkflowRef, version: str | None, input_: Json
) -> None:
    """Refuses an id that was used to start something else."""
    other = await other_than(store, record, workflow, version, input_)
    if other is not None:
        raise Refused(409, f"that id is of {other}; choose another id")


async def _waited(call: Call, record: ExecutionRecord, seconds: float) -> ExecutionRecord:
    """The execution once it has ended, the time is over, the caller has hung up or the API stops."""
    if record.status.ended:
        return record
    waiting = _until_ended(call.store, record, seconds)
    try:
        await done_before(waiting, call.hung_up(), call.services.closing.wait())
        return await _record(call.store, record.key)
    except StoreUnavailable:
        return record  # it is started; an error would have the caller start it again


async def _until_ended(store: EventStore, record: ExecutionRecord, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not record.status.ended and (left := deadline - loop.time()) > 0:
        await store.wait_for_version(record.key, record.version, left)
        record = await _record(store, record.key)


def _status(call: Call) -> Status | None:
    text = call.parameter("status")
    try:
        return Status(text) if text else None
    except ValueError:
        raise Refused(422, f"status must be one of {', '.join(Status)}") from None


def _workflow(call: Call) -> tuple[str, str] | None:
    text = call.parameter("workflow")
    if text is None:
        return None
    named = ids.workflow_name(text)
    if named is None:
        raise Refused(422, "workflow must be NAMESPACE/NAME")
    return named
