"""What a call needs of a broker: the server with credentials, the channel with its options. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from unspool.definitions.json_value import Json
from unspool.executor.asyncapi.document import AsyncApiDocument
from unspool.executor.asyncapi.messages import at_location, chosen_message
from unspool.executor.asyncapi.operation import find_operation
from unspool.executor.asyncapi.security import credentials_of
from unspool.executor.asyncapi.server import choose_server, server_of, substituted
from unspool.executor.brokers.port import Channel, Server
from unspool.executor.brokers.protocols import PROTOCOLS


@dataclass(frozen=True, slots=True)
class Target:
    """Where a call publishes or subscribes."""

    server: Server
    channel: Channel
    described: dict[str, Json]
    """The message in the document; of several possible ones the first."""


def find_target(document: AsyncApiDocument, arguments: Mapping[str, Any]) -> Target:
    """Returns the target of a call with evaluated arguments. Raises `Rejected`."""
    operation = find_operation(document, arguments)
    chosen = choose_server(operation, arguments)
    variables: dict[str, Json] = (arguments.get("server") or {}).get("variables") or {}
    server = server_of(document, chosen, variables)
    security = operation.security or chosen.get("security")
    credentials = credentials_of(document, security, arguments.get("authentication"))
    message = arguments.get("message")
    described = operation.messages[0]
    if message is not None:
        described = chosen_message(document, operation.messages, message)
    located = {
        name: at_location(parameter.get("location"), message or {})
        for name, parameter in operation.parameters.items()
    }
    values = {
        **{name: value for name, value in located.items() if value is not None},
        **{name: value for name, value in variables.items() if name in operation.parameters},
        **operation.known,
    }
    parameters = {name: _with_default(document, each) for name, each in operation.parameters.items()}
    address = substituted(operation.address, parameters, values, "channel")
    name = PROTOCOLS[server.protocol].name
    options: dict[str, Json] = {}
    for bound in (*operation.bound, described):
        options |= document.bindings(bound, name)
    return Target(replace(server, credentials=credentials), Channel(address, options), described)


def _with_default(document: AsyncApiDocument, parameter: dict[str, Json]) -> dict[str, Json]:
    """A parameter with `default` and `enum` at its top: AsyncAPI 2 has them in a schema."""
    schema = parameter.get("schema")
    return {**document.at(schema), **parameter} if schema is not None else parameter
