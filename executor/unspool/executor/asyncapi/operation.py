"""Finds what a call names: in AsyncAPI 2 a channel, in AsyncAPI 3 an operation. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from unspool.definitions.json_value import Json
from unspool.executor.asyncapi.document import AsyncApiDocument, texts
from unspool.executor.documents.text import UnusableDocument

_PARAMETER: Final = re.compile(r"\{([^{}]+)\}")
_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class Operation:
    """What a call does, before a server is chosen."""

    address: str
    """Of the channel; it may have parameters, `{name}`."""
    parameters: Mapping[str, dict[str, Json]]
    known: Mapping[str, str]
    """Values of parameters that the call has written in the channel."""
    servers: dict[str, dict[str, Json]]
    """Those of the channel, by name."""
    messages: list[dict[str, Json]]
    bound: tuple[dict[str, Json], ...]
    """The objects that have bindings: the channel, the operation."""
    security: Json
    """The security of the operation itself."""


def find_operation(document: AsyncApiDocument, arguments: Mapping[str, Any]) -> Operation:
    """Returns what a call names. Raises `UnusableDocument`."""
    if document.version == 2:
        if "channel" not in arguments:
            raise UnusableDocument("it is for AsyncAPI 2: a call names a 'channel' of it, not an 'operation'")
        what = "subscribe" if "subscription" in arguments else "publish"
        return _of_channel(document, arguments["channel"], what)
    if "operation" not in arguments:
        raise UnusableDocument("it is for AsyncAPI 3: a call names an 'operation' of it, not a 'channel'")
    return _of_operation(document, arguments["operation"])


def _of_channel(document: AsyncApiDocument, name: Json, what: str) -> Operation:
    channels = document.members(document.value.get("channels"))
    address, known = _written_channel(channels, name)
    channel = channels[address]
    if channel.get(what) is None:
        raise UnusableDocument(f"the channel {address!r} has no operation '{what}'")
    operation = document.at(channel[what])
    message = document.at(operation["message"]) if "message" in operation else {}
    messages = document.items(message["oneOf"]) if "oneOf" in message else [message]
    wanted = set(texts(channel.get("servers")))
    servers = {one: server for one, server in document.servers.items() if not wanted or one in wanted}
    parameters = document.members(channel.get("parameters"))
    return Operation(
        address, parameters, known, servers, messages, (channel, operation), operation.get("security")
    )


def _written_channel(channels: Mapping[str, Json], name: Json) -> tuple[str, dict[str, str]]:
    """The channel that a call names, and the values of the parameters that it has written in the name."""
    if name in channels:
        return str(name), {}
    for address in channels:
        known = _matched(address.split("/"), str(name).split("/"))
        if known is not None:
            return address, known
    raise UnusableDocument(f"it has no channel {name!r}{_of(channels)}")


def _matched(segments: list[str], written: list[str]) -> dict[str, str] | None:
    """The parameters of an address that a name has values for; None if the name is another address."""
    if len(segments) != len(written):
        return None
    known: dict[str, str] = {}
    for segment, text in zip(segments, written, strict=True):
        parameter = _PARAMETER.fullmatch(segment)
        if parameter is not None and text:
            known[parameter[1]] = text
        elif segment != text:
            return None
    return known


def _of_operation(document: AsyncApiDocument, name: Json) -> Operation:
    operations = document.members(document.value.get("operations"))
    operation = operations.get(str(name))
    if operation is None:
        raise UnusableDocument(f"it has no operation {name!r}{_of(operations)}")
    channel = document.at(operation.get("channel"))
    address = channel.get("address")
    if not isinstance(address, str):
        raise UnusableDocument(f"the channel of the operation {name!r} has no address")
    messages = document.items(operation.get("messages"))
    return Operation(
        address,
        document.members(channel.get("parameters")),
        {},
        _servers_of(document, channel),
        messages or list(document.members(channel.get("messages")).values()) or [{}],
        (channel, operation),
        operation.get("security"),
    )


def _servers_of(document: AsyncApiDocument, channel: Mapping[str, Json]) -> dict[str, dict[str, Json]]:
    wanted = document.items(channel.get("servers"))
    if not wanted:
        return document.servers
    return {name: server for name, server in document.servers.items() if server in wanted}


def _of(known: Mapping[str, Json]) -> str:
    if not known:
        return ""
    shown = ", ".join(repr(name) for name in list(known)[:_SHOWN])
    return f"; it has {shown}" + (" and others" if len(known) > _SHOWN else "")
