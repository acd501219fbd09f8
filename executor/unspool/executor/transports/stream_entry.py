"""Entries of streams that others write, as CloudEvents. Pure.

An entry has a field `event` with a CloudEvent as JSON (structured mode), or a field for each attribute, and
`data` (binary mode). Attributes may have a prefix, as in other bindings: `ce_type`, `ce-type`, `ce:type` or
`cloudEvents:type`.
"""

import re
from collections.abc import Mapping
from typing import Final

from unspool.definitions.cloud_events import SPEC_VERSION, from_body, problems_of
from unspool.definitions.json_value import Json
from unspool.eventstore import strict_json
from unspool.eventstore.published_events import CloudEvent

MAX_BYTES: Final = 1 << 20
"""The largest entry; as the default limit of the API."""

_EVENT: Final = b"event"
_DATA: Final = "data"
_CONTENT_TYPE: Final = "datacontenttype"
PREFIX: Final = re.compile(r"(?:ce[_:-]|cloudEvents[:_])")
"""What bindings of protocols write before the name of an attribute."""


class NoEvent(ValueError):
    """An entry is not an event."""


def event_of(stream: str, entry: str, fields: Mapping[bytes, bytes]) -> CloudEvent:
    """The event of an entry of a stream.

    What is missing of `specversion`, `source` and `id` is derived from the stream and the id of the entry, so
    an entry that is delivered again is the same event.

    Raises:
        NoEvent: it is not one; says why in one line.
    """
    if size_of(fields) > MAX_BYTES:
        raise NoEvent(f"it is larger than {MAX_BYTES} bytes")
    try:
        event = _structured(fields[_EVENT]) if _EVENT in fields else _binary(fields)
    except UnicodeDecodeError:
        raise NoEvent("a text is not UTF-8") from None
    derived: CloudEvent = {
        "specversion": SPEC_VERSION,
        "id": f"{stream}:{entry}",
        "source": f"/streams/{stream}",
    }
    event = derived | given(event)
    if problems := problems_of(event):
        raise NoEvent("; ".join(problems)[:500])
    return event


def given(event: CloudEvent) -> CloudEvent:
    """The members that have a value. No attribute is an empty text, but data can be one."""
    return {
        name: value for name, value in event.items() if value is not None and (value != "" or name == _DATA)
    }


def size_of(fields: Mapping[bytes, bytes]) -> int:
    """The size of an entry in bytes."""
    return sum(len(name) + len(value) for name, value in fields.items())


def _structured(text: bytes) -> CloudEvent:
    try:
        event = strict_json.parse(text)
    except strict_json.BadJson as error:
        raise NoEvent(f"the field 'event' {error}") from None
    if not isinstance(event, dict):
        raise NoEvent("the field 'event' is not a JSON object")
    return event


def _binary(fields: Mapping[bytes, bytes]) -> CloudEvent:
    named = {PREFIX.sub("", name.decode(), count=1): value for name, value in fields.items()}
    data = named.pop(_DATA, None)
    event: CloudEvent = {name: value.decode() for name, value in named.items()}
    if data is None:
        return event
    return event | _data(str(event.get(_CONTENT_TYPE, "")), data)


def _data(content_type: str, data: bytes) -> dict[str, Json]:
    """The members for data of a media type. Without a type it is JSON or, if it is not JSON, text."""
    try:
        return from_body(content_type, data, strict_json.parse)
    except strict_json.BadJson as error:
        if content_type:
            raise NoEvent(f"the field 'data' {error}") from None
    return from_body("text/plain", data, strict_json.parse)
