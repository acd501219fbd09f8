"""Messages as workflows and as brokers have them (dsl-reference.md, "AsyncAPI Outbound Message"). Pure."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import orjson

from unspool.definitions.errors import validation
from unspool.definitions.json_pointer import parts
from unspool.definitions.json_value import Json
from unspool.eventstore.monitoring.trace_context import TRACEPARENT, trace_context
from unspool.executor.asyncapi.document import AsyncApiDocument
from unspool.executor.brokers.port import InboundMessage, OutboundMessage, Server
from unspool.executor.http.response import UnreadableContent, content
from unspool.executor.outcome import Rejected, reject

_JSON: Final = re.compile(r"application/json|text/json|[\w.-]+/[\w.-]+\+json")
_DEFAULT_TYPE: Final = "application/json"
_LOCATION: Final = re.compile(r"\$message\.(header|payload)#(/.*)?")
_NOT_IN_HEADER: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_WITH_HEADERS: Final = frozenset(
    {"amqp", "amqps", "http", "https", "kafka", "kafka-secure", "mqtt5", "nats", "nats-secure"}
)
"""Protocols with headers that any receiver expects. A field of a Redis stream may be taken for data."""
_OF_CONNECTIONS: Final = frozenset(
    {"connection", "content-length", "expect", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
)


def chosen_message(
    document: AsyncApiDocument, messages: list[dict[str, Json]], message: Mapping[str, Any]
) -> dict[str, Json]:
    """Returns the first message of the document that the payload and the headers match.

    Raises:
        Rejected: there is none; the `validation` error has the problems with the first one.
    """
    first: list[str] = []
    for described in messages:
        problems = _problems(document, described, message)
        if not problems:
            return described
        first = first or problems
    others = f"; {len(messages) - 1} other messages of the channel do not match either"
    raise Rejected(validation("; ".join(first) + (others if len(messages) > 1 else "")))


def _problems(
    document: AsyncApiDocument, described: Mapping[str, Json], message: Mapping[str, Any]
) -> list[str]:
    problems: list[str] = []
    for member in ("payload", "headers"):
        schema: Json = described.get(member)
        kind: Json = described.get("schemaFormat")
        if isinstance(schema, dict) and "schemaFormat" in schema:  # AsyncAPI 3
            schema, kind = schema.get("schema"), schema.get("schemaFormat")
        compiled = document.schema(schema, kind if member == "payload" else None)
        if compiled is not None:
            problems += [f"{member}: {each}" for each in compiled.problems(message.get(member, {}))]
    return problems


def outbound(
    document: AsyncApiDocument, described: Mapping[str, Json], message: Mapping[str, Any], id_: str
) -> OutboundMessage:
    """Returns the message as it is published. Raises `Rejected`."""
    content_type = _content_type(document, described)
    if not _JSON.fullmatch(content_type.partition(";")[0].strip().lower()):
        reject(f"messages with the content type {content_type!r} cannot be made; JSON can")
    return OutboundMessage(
        orjson.dumps(message["payload"]) if message.get("payload") is not None else b"",
        content_type,
        _headers(message.get("headers")),
        correlation_id=located(described, message) or "",
        id=id_,
    )


def with_trace_context(message: OutboundMessage, server: Server) -> OutboundMessage:
    """The message with the trace context in its headers, unless the author has written one.

    Only of protocols whose messages always have headers: those of MQTT 3.1.1 have none.
    """
    context = trace_context.get()
    known = {name.lower() for name in message.headers}
    if not context or server.protocol not in _WITH_HEADERS or TRACEPARENT in known:
        return message
    return replace(message, headers={**message.headers, **context})


def _content_type(document: AsyncApiDocument, described: Mapping[str, Json]) -> str:
    for found in (described.get("contentType"), document.value.get("defaultContentType")):
        if isinstance(found, str) and found and not _NOT_IN_HEADER.search(found):
            return found
    return _DEFAULT_TYPE


def _headers(values: Json) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in (values or {}).items():
        if not _NAME.fullmatch(name) or name.lower() in _OF_CONNECTIONS:
            reject(f"a message cannot have a header with the name {name!r}")
        text = value if isinstance(value, str) else orjson.dumps(value).decode()
        if _NOT_IN_HEADER.search(text):
            reject(f"the header {name!r} contains line breaks or control characters")
        headers[name] = text
    return headers


def inbound(
    document: AsyncApiDocument, described: Mapping[str, Json], message: InboundMessage
) -> dict[str, Json]:
    """Returns a message as workflows have it: payload, headers and correlation id (inventory J17).

    A payload that does not match its content type is a text, so that no message stops the subscription.
    """
    value: dict[str, Json] = {
        "payload": payload_of(message.payload, message.content_type or _content_type(document, described)),
        "headers": dict(message.headers),
    }
    found = located(described, value) or message.correlation_id
    return {**value, "correlationId": found} if found else value


def payload_of(payload: bytes, content_type: str) -> Json:
    """Returns a payload: JSON, text, or base64 of anything else."""
    try:
        return content(payload, content_type)
    except UnreadableContent:
        return content(payload, "text/plain")


def located(described: Mapping[str, Json], message: Mapping[str, Json]) -> str | None:
    """Returns the correlation id of a message at the place that the document names, if it has one."""
    correlation = described.get("correlationId")
    location = correlation.get("location") if isinstance(correlation, dict) else None
    value = at_location(location, message)
    if isinstance(value, bool | dict | list) or value is None:
        return None
    return str(value)


def at_location(location: Json, message: Mapping[str, Json]) -> Json:
    """Returns the value at a runtime expression of AsyncAPI, such as `$message.header#/id`; None without."""
    found = _LOCATION.fullmatch(location) if isinstance(location, str) else None
    if found is None:
        return None
    value: Json = message.get("headers" if found[1] == "header" else "payload")
    for step in parts(found[2] or ""):
        value = value.get(step) if isinstance(value, dict) else None
    return value
