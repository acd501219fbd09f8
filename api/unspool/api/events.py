"""Histories: list them, stream them live, and rebuild the state as of an event."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final, NamedTuple

import orjson
from starlette.responses import Response, StreamingResponse

from unspool.api.calls import Call, json_response
from unspool.api.problems import HttpProblem, problem_in_stream
from unspool.diagram.runs import RunLog, Wanted, no_run
from unspool.eventstore.errors import CorruptHistory, StoreUnavailable
from unspool.eventstore.event_json import event_json
from unspool.eventstore.events import Event
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import ExecutionKey, ExecutionRecord
from unspool.eventstore.waiting import done_before
from unspool.worker.state_json import state_json

PAGE: Final = 500
"""Events per read from the store. It bounds the memory that a long history takes."""

SSE: Final = "text/event-stream"

MAX_EVENTS: Final = 10_000
"""The largest `limit` of a list of events."""

MAX_EVENT_NUMBER: Final = 10**12
"""Larger than any event number."""


async def list_events(call: Call) -> Response:
    """Lists the history after an event, the whole rest without a limit; sends it while reading it."""
    record = await call.execution()
    after = call.integer("after", minimum=0, maximum=MAX_EVENT_NUMBER) or 0
    limit = call.integer("limit", minimum=1, maximum=MAX_EVENTS)
    until = record.version if limit is None else min(record.version, after + limit)
    events = await _page(call.store, record.key, after, until)
    return StreamingResponse(_listed(call.store, record, events, until), media_type="application/json")


async def stream_events(call: Call) -> Response:
    """Streams the history as Server-Sent Events until the execution ends.

    Answers 204 if a client resumes and there are no more events: then an `EventSource` stops reconnecting.
    If the first events cannot be read, that is the answer.
    """
    record = await call.execution()
    if call.request.method == "HEAD":
        return Response(media_type=SSE)
    after = _last_event_id(call)
    if after is not None and record.status.ended and record.version <= after:
        return Response(status_code=204)
    first = await _new_events(call.store, record.key, after or 0)
    return StreamingResponse(_live(call, record.key, after or 0, first), media_type=SSE)


async def show_state(call: Call) -> Response:
    """Returns the state of an execution as of an event; by default the last one."""
    log = await log_of(call, await call.execution())
    return json_response(await asyncio.to_thread(state_json, log.state))


async def log_of(call: Call, record: ExecutionRecord, wanted: Wanted = no_run) -> RunLog:
    """Returns the runs of an execution as of the event in `at`, by default the last one.

    Raises:
        HttpProblem: 404, if the execution was deleted meanwhile; 422, if `at` is not an event of it.
    """
    at = call.integer("at", minimum=0, maximum=record.version)
    log = await call.services.folded.log_at(record, record.version if at is None else at, wanted)
    if log is None:
        raise HttpProblem(404, "there is no execution with that id")
    return log


async def _page(store: EventStore, key: ExecutionKey, after: int, until: int) -> list[Event]:
    limit = min(PAGE, until - after)
    return await store.history(key, after=after, limit=limit) if limit > 0 else []


async def _listed(
    store: EventStore, record: ExecutionRecord, events: list[Event], until: int
) -> AsyncIterator[bytes]:
    """Yields the events up to one; it is at most the last one at the time of the request."""
    yield b'{"items":['
    separator = b""
    while events:
        yield separator + b",".join(orjson.dumps(event_json(event)) for event in events)
        separator, last = b",", events[-1].seq
        events = await _page(store, record.key, last, until)
    yield b'],"next":%b}' % (str(until).encode() if until < record.version else b"null")


class _New(NamedTuple):
    """The events after one, with the execution as it was before them."""

    record: ExecutionRecord | None
    events: list[Event]


async def _live(call: Call, key: ExecutionKey, after: int, new: _New) -> AsyncIterator[bytes]:
    """Yields events when they are committed, and comments as heartbeats.

    The stream ends when the execution ends, the API stops or the store is unavailable. The client can resume
    it. If an event cannot be read, the last frame is that error.
    """
    seconds = call.services.settings.heartbeat_seconds
    yield b": events\n\n"
    while not call.services.closing.is_set():
        if new.events:
            yield b"".join(_frame(event) for event in new.events)
            after = new.events[-1].seq
        elif new.record is None or new.record.status.ended:
            return
        try:
            if not new.events:
                waiting = call.store.wait_for_version(key, after, seconds)
                await done_before(waiting, call.services.closing.wait())
                yield b": heartbeat\n\n"
            new = await _new_events(call.store, key, after)
        except (StoreUnavailable, CorruptHistory) as error:
            yield last_frame(error)
            return


async def _new_events(store: EventStore, key: ExecutionKey, after: int) -> _New:
    # Read the record first. If it has ended and there are no events after it, none was missed in between.
    record = await store.execution(key)
    return _New(record, await store.history(key, after=after, limit=PAGE))


def last_frame(error: StoreUnavailable | CorruptHistory) -> bytes:
    """Returns the end of a stream that has met an error; empty if the client can resume it."""
    problem = problem_in_stream(error)
    return b"" if problem is None else b"event: error\ndata: %b\n\n" % orjson.dumps(problem)


def _frame(event: Event) -> bytes:
    return b"id: %d\ndata: %b\n\n" % (event.seq, orjson.dumps(event_json(event)))


def _last_event_id(call: Call) -> int | None:
    after = call.integer("after", minimum=0, maximum=MAX_EVENT_NUMBER)
    text = call.request.headers.get("last-event-id")
    if text is None:
        return after
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise HttpProblem(400, "Last-Event-ID must be the id of an event in this stream")
    return int(text)
