"""Histories: listed, streamed live, and folded into the state as of any event."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import orjson
from starlette.responses import Response, StreamingResponse

from unspool.api.calls import Call, answer
from unspool.api.problems import Refused
from unspool.api.representations import event_json
from unspool.eventstore.errors import StoreUnavailable
from unspool.eventstore.events import Event
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import ExecutionKey, ExecutionRecord
from unspool.eventstore.waiting import done_before

PAGE: Final = 500
"""Events read from the store at once, so that a long history does not fill the memory."""

SSE: Final = "text/event-stream"

MOST_EVENTS: Final = 10**12
"""Above every event number there will be."""


async def list_events(call: Call) -> Response:
    """The history after an event, whole, sent as it is read."""
    record = await call.execution()
    after = call.whole("after", least=0, most=MOST_EVENTS) or 0
    events = await call.store.history(record.key, after=after, limit=PAGE)
    return StreamingResponse(_listed(call.store, record, events), media_type="application/json")


async def stream_events(call: Call) -> Response:
    """The history as Server-Sent Events, live, until the execution has ended.

    Nothing new for a caller who resumes is told by 204, at which an `EventSource` stops to reconnect.
    """
    record = await call.execution()
    if call.request.method == "HEAD":
        return Response(media_type=SSE)
    after = _last_event_id(call)
    if after is not None and record.status.ended and record.version <= after:
        return Response(status_code=204)
    return StreamingResponse(_live(call, record.key, after or 0), media_type=SSE)


async def show_state(call: Call) -> Response:
    """The state of an execution as of an event; of the last one unless asked."""
    record = await call.execution()
    at = call.whole("at", least=0, most=record.version)
    until = record.version if at is None else at
    events = await call.store.history(record.key, limit=until) if until else []
    return answer(await asyncio.to_thread(call.services.engine.state, record.key.id, events))


async def _listed(store: EventStore, record: ExecutionRecord, events: list[Event]) -> AsyncIterator[bytes]:
    """The items up to the version the history had when it was asked for."""
    yield b'{"items":['
    separator = b""
    while events:
        yield separator + b",".join(orjson.dumps(event_json(event)) for event in events)
        separator, last = b",", events[-1].seq
        events = await store.history(record.key, after=last, limit=PAGE) if last < record.version else []
    yield b'],"next":null}'


async def _live(call: Call, key: ExecutionKey, after: int) -> AsyncIterator[bytes]:
    """Events as they come, with a comment now and then, until the execution ends or the API stops.

    A store that is away ends the stream, too: the caller resumes it when it likes.
    """
    seconds = call.services.settings.heartbeat_seconds
    yield b": events\n\n"
    while not call.services.closing.is_set():
        try:
            record, events = await _news(call.store, key, after)
            if events:
                yield b"".join(_frame(event) for event in events)
                after = events[-1].seq
                continue
            if record is None or record.status.ended:
                return
            await done_before(call.store.wait_for_version(key, after, seconds), call.services.closing.wait())
        except StoreUnavailable:
            return
        yield b": still here\n\n"


async def _news(
    store: EventStore, key: ExecutionKey, after: int
) -> tuple[ExecutionRecord | None, list[Event]]:
    # The record first: when it says ended and no event comes after, none was missed in between.
    record = await store.execution(key)
    return record, await store.history(key, after=after, limit=PAGE)


def _frame(event: Event) -> bytes:
    return b"id: %d\ndata: %b\n\n" % (event.seq, orjson.dumps(event_json(event)))


def _last_event_id(call: Call) -> int | None:
    text = call.request.headers.get("last-event-id")
    if text is None:
        return call.whole("after", least=0, most=MOST_EVENTS)
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise Refused(400, "Last-Event-ID must be the id of an event of this stream")
    return int(text)
