"""Executions: start, list, show, cancel, suspend, resume and retry them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

from starlette.responses import Response

from unspool.api.authentication.caller import too_many
from unspool.api.bodies import read_json
from unspool.api.calls import Call, json_response
from unspool.api.correlations import correlated
from unspool.api.execution_filters import BadFilter, FilterTexts, read_filter
from unspool.api.operations import NotAllowed, check_allowed_now, wait_for_effect
from unspool.api.problems import HttpProblem
from unspool.api.representations import GONE, describe, listed, start_conflict
from unspool.api.waiting import why
from unspool.api.workflows import workflow_of
from unspool.definitions.json_value import Json
from unspool.eventstore import ids
from unspool.eventstore.errors import KeyMissing, NotFound, StoreUnavailable
from unspool.eventstore.monitoring.trace_context import TRACEPARENT, TRACESTATE, caller_context
from unspool.eventstore.port import EventStore
from unspool.eventstore.rate_limits import Rate
from unspool.eventstore.records import (
    ExecutionKey,
    ExecutionRecord,
    Message,
    MessageKind,
    Start,
    Status,
    WorkflowRef,
)
from unspool.eventstore.tags import BadTags, Tags, checked_tags
from unspool.eventstore.waiting import done_before
from unspool.worker.idempotency_keys import NoKey

MAX_WAIT_SECONDS: Final = 3600
"""The longest `wait` of a request."""

MAX_ITEMS: Final = 200


class StartRequest(NamedTuple):
    """The body of a request to start an execution."""

    id: str | None
    input: Json
    tags: Tags


async def start(call: Call) -> Response:
    """Starts an execution, or returns the one with the same id or idempotency key.

    With `wait`, waits for it to end.
    """
    version = call.parameter("version")
    wait = call.seconds("wait", maximum=MAX_WAIT_SECONDS)
    request = await _start_request(call)
    await _limit_starts(call)
    workflow = await workflow_of(call, version)

    now = call.services.clock.now()
    key = ExecutionKey(call.tenant, request.id or ids.new_id(now))
    context = caller_context(call.request.headers.get)
    start = Start(
        key,
        workflow,
        request.input,
        now,
        tags=request.tags,
        by=call.caller.name,
        traceparent=context.get(TRACEPARENT),
        tracestate=context.get(TRACESTATE),
    )
    if request.id is None:
        start = await _with_idempotency_key(call, start)
    key = start.key
    pending = ExecutionRecord(
        key, workflow, Status.PENDING, 0, now, tags=request.tags, pending_input=request.input
    )
    pending = await call.store.masked(pending)  # first: what fails after the start must not hide it
    created = await call.store.start(start)
    record = pending if created else await _record(call.store, key)
    if request.id is not None and not created:
        await _check_same(call.services.unmasked, key, workflow, version, request.input)

    if wait is not None:
        record = await _wait_until_ended(call, record, wait)
    status = 200 if not created or (wait is not None and record.status.ended) else 202
    try:
        described = await describe(call.store, record)
    except (KeyMissing, StoreUnavailable):  # the key with which a worker wrote, or the store
        if not created:
            raise
        described, status = await describe(call.store, pending), 202
    return json_response(described, status, {"Location": f"/api/v1/executions/{key.id}"})


async def list_executions(call: Call) -> Response:
    """Returns a page of executions, newest first."""
    summary = _is_summary(call)
    try:
        filter_ = read_filter(_filter_texts(call), call.services.clock.now())
    except BadFilter as error:
        raise HttpProblem(422, str(error)) from None
    limit = call.integer("limit", minimum=1, maximum=MAX_ITEMS) or 50
    correlation = call.parameter("correlation")
    if correlation is not None:
        found = await correlated(call, correlation, filter_, limit)
        return json_response({"items": await _items(call, found, summary=summary), "next": None})
    try:
        page = await call.store.executions(call.tenant, filter_, limit=limit, cursor=call.parameter("cursor"))
    except ValueError:
        raise HttpProblem(422, "the cursor must be the `next` of a page of this list") from None
    items = await _items(call, page.items, summary=summary)
    return json_response({"items": items, "next": page.cursor})


async def _items(call: Call, records: Sequence[ExecutionRecord], *, summary: bool) -> list[Json]:
    """Returns the executions of a list, without those that were deleted meanwhile."""
    items = await asyncio.gather(*(listed(call.store, record, summary=summary) for record in records))
    return [item for item in items if item is not None]


def _is_summary(call: Call) -> bool:
    """Returns whether the items of a list have no data."""
    view = call.parameter("view")
    if view not in {None, "full", "summary"}:
        raise HttpProblem(422, "view must be full or summary")
    return view == "summary"


def _filter_texts(call: Call) -> FilterTexts:
    return FilterTexts(
        statuses=call.parameters("status"),
        workflow=call.parameter("workflow"),
        since=call.parameter("since"),
        until=call.parameter("until"),
        id=call.parameter("id"),
        parent=call.parameter("parent"),
        tags=call.parameters("tag"),
    )


async def counts(call: Call) -> Response:
    """Returns how many executions are in each status."""
    found = await call.store.count_executions(call.tenant)
    numbers: dict[str, Json] = {status.value: count.number for status, count in found.items()}
    at_least: Json = [status.value for status, count in found.items() if not count.exact]
    return json_response({"executions": numbers, "atLeast": at_least})


async def show(call: Call) -> Response:
    """Returns one execution; with `wait`, as soon as it has ended, or after that time."""
    wait = call.seconds("wait", maximum=MAX_WAIT_SECONDS)
    record = await call.execution()
    if wait is not None:
        record = await _wait_until_ended(call, record, wait)
    return json_response(await describe(call.store, record))


async def explain(call: Call) -> Response:
    """Returns why an execution waits."""
    record = await call.execution()
    return json_response(await why(call.store, call.services.engine.jq, record.key))


def operation(kind: MessageKind) -> Callable[[Call], Awaitable[Response]]:
    """Returns a handler that sends this message to an execution; with `wait`, waits for its effect.

    An execution that cannot be read is not operated. If only its newest events cannot be read, the answer is
    what was read before.
    """

    async def operate(call: Call) -> Response:
        wait = call.seconds("wait", maximum=MAX_WAIT_SECONDS)
        record, actor = await call.execution(), call.actor()
        try:
            await check_allowed_now(call.store, kind, record)
            before = await describe(call.store, record)
            await call.store.send(call.tenant, Message(kind, record.key.id, actor.data()))
            after = None if wait is None else await _after(call, kind, record, wait)
        except NotAllowed as reason:
            raise HttpProblem(409, f"the execution {reason}") from None
        return after or json_response(before, 202)

    return operate


async def _after(call: Call, kind: MessageKind, record: ExecutionRecord, seconds: float) -> Response | None:
    """Waits for an operation; returns the answer, None if what it wrote has a key that is missing here."""
    try:
        applied = await _applied(call, kind, record, seconds)
        described = await describe(call.store, await _record(call.store, record.key))
    except KeyMissing:
        return None
    return json_response(described, 200 if applied else 202)


async def _applied(call: Call, kind: MessageKind, record: ExecutionRecord, seconds: float) -> bool:
    """Waits until the operation takes effect, the time is up, the client disconnects or the API stops.

    Returns whether it has taken effect.

    Raises:
        NotAllowed: the status changed first and does not allow it any more.
    """
    effect = wait_for_effect(call.store, kind, record)
    ends = asyncio.sleep(seconds), call.client_disconnected(), call.services.closing.wait()
    return await done_before(effect, *ends)


async def _start_request(call: Call) -> StartRequest:
    settings = call.services.settings
    body = await read_json(call.request, settings.max_input_bytes, settings.body_seconds)
    if not isinstance(body, dict):
        raise HttpProblem(422, 'the body must be an object such as {"input": {}, "id": "order-7"}')
    if unknown := sorted(body.keys() - {"input", "id", "tags"}):
        raise HttpProblem(422, f"unknown member {unknown[0][:80]!r}; known are input, id and tags")
    id_ = body.get("id")
    if id_ is not None and not (isinstance(id_, str) and ids.EXECUTION_ID.fullmatch(id_)):
        raise HttpProblem(422, f"id must be a string that matches {ids.EXECUTION_ID.pattern}")
    try:
        tags = checked_tags(body.get("tags", {}))
    except BadTags as error:
        raise HttpProblem(422, str(error), pointer="/tags") from None
    return StartRequest(id_, body.get("input", {}), tags)


async def _limit_starts(call: Call) -> None:
    """Raises 429 if callers of the tenant start too many executions."""
    per_second = call.services.settings.tenant_start_rate
    if not per_second:
        return
    rate = Rate(max(1, int(1_000_000 / per_second)), call.services.settings.tenant_start_burst)
    if await call.store.reserve_start(f"starts {call.tenant}", rate, 0) is None:
        raise too_many(f"this tenant may start {per_second:g} executions a second", 1 / per_second)


async def _with_idempotency_key(call: Call, start: Start) -> Start:
    try:
        return await call.services.keys.resolve(start)
    except NoKey as error:
        raise HttpProblem(422, str(error), pointer=error.pointer) from None


async def _record(store: EventStore, key: ExecutionKey) -> ExecutionRecord:
    record = await store.execution(key)
    if record is None:
        raise NotFound(GONE)
    return record


async def _check_same(
    store: EventStore, key: ExecutionKey, workflow: WorkflowRef, version: str | None, input_: Json
) -> None:
    """Raises 409 if the id belongs to an execution with another workflow or input."""
    conflict = await start_conflict(store, await _record(store, key), workflow, version, input_)
    if conflict is not None:
        raise HttpProblem(409, f"that id belongs to {conflict}; choose another id")


async def _wait_until_ended(call: Call, record: ExecutionRecord, seconds: float) -> ExecutionRecord:
    """Waits until the execution ends, the time is up, the client disconnects or the API stops.

    Returns its latest record.
    """
    if record.status.ended:
        return record
    waiting = _until_ended(call.store, record, seconds)
    try:
        await done_before(waiting, call.client_disconnected(), call.services.closing.wait())
        return await _record(call.store, record.key)
    except StoreUnavailable:
        return record  # it may just have been started; after an error the client would start it again


async def _until_ended(store: EventStore, record: ExecutionRecord, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not record.status.ended and (left := deadline - loop.time()) > 0:
        await store.wait_for_version(record.key, record.version, left)
        record = await _record(store, record.key)
