"""The CloudEvent for what a service sent to a webhook."""

from typing import Final
from urllib.parse import parse_qsl

from unspool.api.bodies import decode_json
from unspool.api.hooks.configuration import Hook
from unspool.api.hooks.received import BadHeader, Received
from unspool.api.hooks.values import checked, required
from unspool.api.problems import HttpProblem
from unspool.definitions.cloud_events import SPEC_VERSION, from_body
from unspool.definitions.json_value import Json
from unspool.eventstore import ids
from unspool.eventstore.clock import rfc3339
from unspool.eventstore.monitoring.trace_context import caller_context
from unspool.eventstore.published_events import CloudEvent

FORM: Final = "application/x-www-form-urlencoded"
MAX_FIELDS: Final = 1000
"""Fields of a form."""


def event_of(hook: Hook, received: Received, repetition: str | None) -> CloudEvent:
    """Returns the event.

    Args:
        hook: the webhook.
        received: what the service sent, verified.
        repetition: the id that only repetitions of the request have, if its signature has a time.

    Raises:
        HttpProblem: 400, 415 or 422, if there is no event for it.
    """
    try:
        return _event(hook, received, repetition)
    except BadHeader as error:
        raise HttpProblem(400, str(error)) from None


def _event(hook: Hook, received: Received, repetition: str | None) -> CloudEvent:
    members = _members(received)
    data = members.get("data")
    event: CloudEvent = {
        "specversion": SPEC_VERSION,
        "id": _id(hook, received, data) or repetition or ids.new_id(received.at),
        "source": f"/hooks/{hook.name}",
        "type": checked(hook.type.text(received, data), "type"),
        "time": rfc3339(received.at),
    }
    if hook.subject is not None:
        event["subject"] = checked(hook.subject.text(received, data), "subject")
    event |= _trace_context(received)
    for attribute, header in hook.attributes.items():
        text = received.header_text(header)
        if text is not None:
            event[attribute] = checked(text, f"header {header}")
    return {**event, **members}


def _trace_context(received: Received) -> dict[str, str]:
    """The trace context of the request. One that cannot be read is no reason to refuse the event."""
    try:
        return caller_context(received.header_text)
    except BadHeader:
        return {}


def _id(hook: Hook, received: Received, data: Json) -> str | None:
    if hook.id is not None:
        return required(hook.id, received, data)
    return None if hook.usual_id is None else hook.usual_id.text(received, data)


def _members(received: Received) -> dict[str, Json]:
    """Returns the members of the event for the body: JSON and forms as JSON, text, or else base64."""
    encoding = received.header_text("content-encoding")
    if encoding is not None and encoding.lower() != "identity":
        raise HttpProblem(415, "the body is compressed; send it without Content-Encoding")
    content_type = checked(received.header_text("content-type") or "", "header content-type")
    kind = content_type.partition(";")[0].strip().lower()
    try:
        if kind == FORM and received.body:
            return {"datacontenttype": "application/json", "data": _form(received.body.decode())}
        return from_body(content_type, received.body, decode_json)
    except UnicodeDecodeError:
        raise HttpProblem(400, "the body is not UTF-8") from None


def _form(text: str) -> dict[str, Json]:
    """Returns the fields of a form; a field that is there more than once is an array."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except UnicodeDecodeError:
        raise
    except ValueError:
        raise HttpProblem(400, f"the form has more than {MAX_FIELDS} fields") from None
    values: dict[str, list[Json]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return {name: found if len(found) > 1 else found[0] for name, found in values.items()}
