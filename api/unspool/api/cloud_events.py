"""CloudEvents over HTTP: publish them, and stream what is published.

Content modes are those of the HTTP Protocol Binding for CloudEvents 1.0: structured, binary and batched.
"""

import re
from collections.abc import AsyncIterator
from functools import partial
from typing import Any, Final
from urllib.parse import unquote

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from unspool.api.bodies import decode_json, decoded, media_type, read_body
from unspool.api.calls import Call, json_response
from unspool.api.events import SSE, last_frame
from unspool.api.problems import HttpProblem
from unspool.definitions.cloud_events import from_body, problems_of_published
from unspool.definitions.json_value import Json
from unspool.eventstore.clock import rfc3339
from unspool.eventstore.errors import CorruptHistory, StoreUnavailable
from unspool.eventstore.event_bus import BEFORE_ALL
from unspool.eventstore.monitoring.trace_context import TRACEPARENT, caller_context
from unspool.eventstore.published_events import CloudEvent, PublishedEvent
from unspool.eventstore.waiting import done_before

STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"

_PAGE: Final = 16
"""Events that are read together, at most."""

_PAGE_BYTES: Final = 1 << 19
"""About how many bytes of events are read together: a client that reads slowly keeps a page in memory."""

_PREFIX: Final = "ce-"

_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')
"""A quoted string (RFC 7230, 3.2.6)."""

_DATA: Final = frozenset({"data", "data_base64"})


async def publish(call: Call) -> Response:
    """Publishes one event or a batch. If an event is not valid, none is published."""
    request, settings = call.request, call.services.settings
    body = await read_body(request, settings.max_input_bytes, settings.body_seconds)
    events = await decoded(body, partial(_events, request))
    published = await call.store.publish(call.tenant, events)
    return json_response({"accepted": len(events), "duplicates": len(events) - published}, 202)


async def stream(call: Call) -> Response:
    """Streams events as they are published; with `Last-Event-ID`, those after it."""
    if call.request.method == "HEAD":
        return Response(media_type=SSE)
    wanted = {name: text for name in ("type", "source") if (text := call.parameter(name)) is not None}
    after = call.request.headers.get("last-event-id") or await _last_position(call)
    try:
        page = await call.store.published_events(call.tenant, after=after, limit=1)
    except ValueError:
        raise HttpProblem(400, "Last-Event-ID must be the id of an event in this stream") from None
    return StreamingResponse(_live(call, after, page, wanted), media_type=SSE)


def _events(request: Request, body: bytes) -> list[Any]:
    """Returns the events of a request, which are valid."""
    events = _read(request, body)
    check_events(events, len(body))
    context = caller_context(request.headers.get)
    return [event if TRACEPARENT in event else context | event for event in events] if context else events


def _read(request: Request, body: bytes) -> list[Any]:
    kind = media_type(request)
    if kind == BATCH:
        events = decode_json(body)
        if not isinstance(events, list):
            raise HttpProblem(422, "a batch is a JSON array of CloudEvents")
        return events
    attributes = {
        name[len(_PREFIX) :]: _header_text(value)
        for name, value in request.headers.items()
        if name.startswith(_PREFIX)
    }
    if kind == STRUCTURED or (not attributes and kind in {"application/json", ""}):
        return [decode_json(body)]
    if kind.startswith("application/cloudevents"):
        raise HttpProblem(415, f"the body is {kind}; send {STRUCTURED} or {BATCH}")
    if not attributes:
        raise HttpProblem(415, f"send a CloudEvent as {STRUCTURED}, or its attributes as ce- headers")
    for name in _DATA & attributes.keys():
        raise HttpProblem(422, f"the header {_PREFIX}{name} is no attribute: the body is the data")
    return [{**attributes, **_data(request.headers.get("content-type", ""), body)}]


def _header_text(value: str) -> str:
    """The value of an attribute in a header: a quoted string is taken out of its quotes first."""
    quoted = _QUOTED.fullmatch(value)
    return unquote(re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else value)


def _data(content_type: str, body: bytes) -> dict[str, Json]:
    """Returns the members of an event for a body in binary mode."""
    try:
        return from_body(content_type, body, decode_json)
    except UnicodeDecodeError:
        raise HttpProblem(400, "the body is not UTF-8") from None


def check_events(events: list[Any], size: int) -> None:
    """Raises `HttpProblem` 422 with every problem of every event. `size` is that of the body, in bytes."""
    batch = len(events) > 1
    found = [
        {"pointer": f"/{place}" if batch else "", "message": message}
        for place, event in enumerate(events)
        for message in problems_of_published(event, size)
    ]
    if found:
        where = f"event {found[0]['pointer'][1:]}: " if batch else ""
        detail = f"{where}{found[0]['message']}" + ("; none was published" if batch else "")
        raise HttpProblem(422, detail, errors=found)


async def _last_position(call: Call) -> str:
    """The position of the newest event; without any, that before all events."""
    newest = await call.store.published_events(call.tenant, limit=1)
    return newest[-1].position if newest else BEFORE_ALL


async def _live(
    call: Call, after: str, page: list[PublishedEvent], wanted: dict[str, str]
) -> AsyncIterator[bytes]:
    """Yields events when they are published, and comments as heartbeats.

    The stream ends when the API stops or the store is unavailable. The client can resume it. If an event
    cannot be read, the last frame is that error.
    """
    seconds, limit = call.services.settings.heartbeat_seconds, 1
    yield b": events\n\n"
    while not call.services.closing.is_set():
        size = 1
        for each in page:
            frame = _frame(each)
            size += len(frame)
            if _is_wanted(each.event, wanted):
                yield frame
        if page:
            after, limit = page[-1].position, _next_limit(len(page), size)
        try:
            if not page:
                waiting = call.store.wait_for_events(call.tenant, after, seconds)
                await done_before(waiting, call.services.closing.wait())
                yield b": heartbeat\n\n"
            page = await call.store.published_events(call.tenant, after=after, limit=limit)
        except (StoreUnavailable, CorruptHistory) as error:
            yield last_frame(error)
            return


def _next_limit(count: int, size: int) -> int:
    """How many events to read after `count` events with this size: soon more if they are small."""
    return max(1, min(_PAGE, 4 * count, _PAGE_BYTES * count // size))


def _is_wanted(event: CloudEvent, wanted: dict[str, str]) -> bool:
    return all(event.get(name) == text for name, text in wanted.items())


def _frame(published: PublishedEvent) -> bytes:
    """A message. Readers pass over fields that they do not know, such as `published`."""
    position, event, published_at = published
    return b"id: %b\ndata: %b\npublished: %b\n\n" % (
        position.encode(),
        orjson.dumps(event),
        rfc3339(published_at).encode(),
    )
