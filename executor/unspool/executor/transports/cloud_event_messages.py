"""CloudEvents as messages of brokers: structured and binary mode. Pure.

Source: https://github.com/cloudevents/spec, the protocol bindings of AMQP, HTTP, Kafka, MQTT and NATS.
"""

from base64 import b64decode
from typing import Final

import orjson

from unspool.definitions.cloud_events import SPEC_VERSION, from_body, problems_of_published
from unspool.definitions.json_value import Json
from unspool.eventstore import strict_json
from unspool.eventstore.monitoring.trace_context import TRACEPARENT, TRACESTATE, checked_context
from unspool.eventstore.published_events import CloudEvent
from unspool.executor.brokers.port import InboundMessage, OutboundMessage
from unspool.executor.transports.broker_address import BrokerAddress
from unspool.executor.transports.stream_entry import PREFIX, NoEvent, given

STRUCTURED: Final = "application/cloudevents+json"

_PREFIXES: Final = {"amqp": "cloudEvents_", "kafka": "ce_", "mqtt": "", "redis": "ce_"}
"""What precedes the name of an attribute in a header, by protocol; `ce-` in the others."""

_DATA: Final = frozenset({"data", "data_base64", "datacontenttype"})


def message_of(event: bytes, protocol: str, *, binary: bool) -> OutboundMessage:
    """The message for an event, which is JSON.

    Args:
        event: the event in structured mode.
        protocol: the name of the bindings of the protocol, such as `kafka`.
        binary: whether the attributes are headers and the data is the payload.
    """
    members: CloudEvent = orjson.loads(event)
    id_ = f"{members['source']} {members['id']}"
    if not binary:
        return OutboundMessage(event, STRUCTURED, id=id_)
    prefix = _PREFIXES.get(protocol, "ce-")
    headers = {f"{prefix}{name}": _text(value) for name, value in members.items() if name not in _DATA}
    payload, content_type = _payload(members)
    return OutboundMessage(payload, content_type, headers, id=id_)


def event_of(message: InboundMessage, address: BrokerAddress) -> CloudEvent:
    """The event in a message.

    A message that is not a CloudEvent becomes the data of an event, if the address has a type for it.

    Raises:
        NoEvent: it is not one; says why in one line.
    """
    try:
        event = _found(message, address)
    except UnicodeDecodeError:
        raise NoEvent("a text is not UTF-8") from None
    except strict_json.BadJson as error:
        raise NoEvent(f"the message {error}") from None
    event = given(event)
    derived: CloudEvent = {"specversion": SPEC_VERSION, "source": f"/channels/{address.channel.address}"}
    if message.id:
        derived["id"] = f"{address.channel.address}:{message.id}"
    if TRACEPARENT not in event:
        derived |= checked_context(message.headers.get(TRACEPARENT), message.headers.get(TRACESTATE))
    event = derived | event
    if problems := problems_of_published(event, len(message.payload)):
        raise NoEvent("; ".join(problems)[:500])
    return event


def _found(message: InboundMessage, address: BrokerAddress) -> CloudEvent:
    kind = message.content_type.partition(";")[0].strip().lower()
    if kind.startswith("application/cloudevents"):
        return _structured(strict_json.parse(message.payload))
    attributes = {PREFIX.sub("", name, count=1).lower(): value for name, value in message.headers.items()}
    if "specversion" in attributes:
        own = {name: value for name, value in attributes.items() if name.isalnum() and name != "data"}
        return {**own, **from_body(message.content_type, message.payload, strict_json.parse)}
    if kind in {"", "application/json"} and (event := _unnamed(message.payload)) is not None:
        return event
    if not address.type:
        raise NoEvent("it is not a CloudEvent, and the address has no type for other messages")
    return {"type": address.type, **_data(message)}


def _structured(value: Json) -> CloudEvent:
    if not isinstance(value, dict):
        raise NoEvent("it is not a JSON object; batches are not read")
    return value


def _unnamed(payload: bytes) -> CloudEvent | None:
    """The event in a message without a content type, as in MQTT 3; None if it is something else."""
    try:
        value = strict_json.parse(payload)
    except (strict_json.BadJson, UnicodeDecodeError):
        return None
    return value if isinstance(value, dict) and "specversion" in value else None


def _data(message: InboundMessage) -> CloudEvent:
    """The members for data; without a content type it is JSON or, if it is not JSON, text."""
    try:
        return from_body(message.content_type, message.payload, strict_json.parse)
    except strict_json.BadJson:
        if message.content_type:
            raise
    return from_body("text/plain", message.payload, strict_json.parse)


def _payload(event: CloudEvent) -> tuple[bytes, str]:
    content_type = str(event.get("datacontenttype") or "application/json")
    if event.get("data_base64") is not None:
        return b64decode(event["data_base64"]), content_type
    data = event.get("data")
    if data is None:
        return b"", content_type
    if isinstance(data, str) and not content_type.partition(";")[0].strip().endswith(("/json", "+json")):
        return data.encode(), content_type
    return orjson.dumps(data), content_type


def _text(value: Json) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
