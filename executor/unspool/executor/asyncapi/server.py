"""Chooses the server of a call, and puts its address together. Pure."""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from unspool.definitions.json_value import Json
from unspool.executor.asyncapi.document import AsyncApiDocument, texts
from unspool.executor.asyncapi.operation import Operation
from unspool.executor.brokers.port import Server
from unspool.executor.brokers.protocols import PROTOCOLS
from unspool.executor.documents.text import UnusableDocument

_VARIABLE: Final = re.compile(r"\{([^{}]+)\}")
_NAMES: Final = re.compile(r"[\x21-\x7e]+")


def choose_server(operation: Operation, arguments: Mapping[str, Any]) -> dict[str, Json]:
    """Returns the server that a call names, else the first one with its protocol, else the first one.

    Raises:
        UnusableDocument: there is none.
    """
    named = arguments.get("server")
    if named is not None:
        found = operation.servers.get(named["name"])
        if found is None:
            known = ", ".join(repr(name) for name in operation.servers) or "none"
            raise UnusableDocument(f"the channel has no server {named['name']!r}; it has {known}")
        return found
    wanted = arguments.get("protocol")
    for server in operation.servers.values():
        if wanted is None or _same(wanted, server.get("protocol")):
            return server
    raise UnusableDocument("the channel has no server" + (f" with the protocol {wanted!r}" if wanted else ""))


def _same(wanted: str, protocol: Json) -> bool:
    """Whether a server has a protocol, also over TLS: `ws` finds a server with `wss`."""
    known, own = PROTOCOLS.get(wanted), PROTOCOLS.get(str(protocol))
    return protocol == wanted or (known is not None and own is not None and known.name == own.name)


def server_of(
    document: AsyncApiDocument, server: Mapping[str, Json], variables: Mapping[str, Json]
) -> Server:
    """Returns where a server is, without credentials. Raises `UnusableDocument`."""
    name = server.get("protocol")
    protocol = PROTOCOLS.get(str(name))
    if protocol is None:
        raise UnusableDocument(f"the protocol {name!r} cannot be used; these can: {', '.join(PROTOCOLS)}")
    known = document.members(server.get("variables"))
    if document.version == 2:
        written = substituted(server.get("url"), known, variables, "server")
    else:
        host = substituted(server.get("host"), known, variables, "server")
        written = f"{host}/{substituted(server.get('pathname', ''), known, variables, 'server').lstrip('/')}"
    try:
        split = urlsplit(written if "://" in written else f"//{written}")
        address, port = split.hostname or "", split.port
    except ValueError:
        address, port = "", None
    if not _NAMES.fullmatch(address) or port == 0:
        raise UnusableDocument("the server of it has no valid address")
    path = "" if split.path == "/" else split.path
    options = document.bindings(server, protocol.name)
    version = str(server.get("protocolVersion", ""))
    port = port or protocol.port
    return Server(str(name), address, port, path, protocol.tls, version=version, options=options)


def substituted(
    text: Json, known: Mapping[str, Mapping[str, Json]], values: Mapping[str, Json], what: str
) -> str:
    """Returns a text with the values of its variables, else their defaults. Raises `UnusableDocument`."""
    if not isinstance(text, str):
        raise UnusableDocument(f"a {what} of it has no address")

    def value_of(found: re.Match[str]) -> str:
        name = found[1]
        variable = known.get(name, {})
        value = values.get(name, variable.get("default"))
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            raise UnusableDocument(f"the variable {name!r} of the {what} has no value")
        allowed = list(texts(variable.get("enum")))
        if allowed and value not in allowed:
            raise UnusableDocument(f"the variable {name!r} of the {what} must be one of {', '.join(allowed)}")
        return value

    return _VARIABLE.sub(value_of, text)
