"""An operation of a document, read once for many calls. Pure."""

from dataclasses import dataclass

from unspool.definitions.json_value import Json
from unspool.executor.openapi.bodies import Body, body_of
from unspool.executor.openapi.document import ApiDocument, Edition, UnusableDocument
from unspool.executor.openapi.parameters import FORM, Parameter, read_parameters
from unspool.executor.openapi.security import Security, security_of
from unspool.executor.openapi.servers import Server, server_of


@dataclass(frozen=True, slots=True)
class Operation:
    """What a call needs to know of an operation."""

    id: str
    method: str
    """In upper case."""
    path: str
    """With the names of its parameters in braces."""
    server: Server
    parameters: tuple[Parameter, ...]
    body: Body | None
    security: Security
    accept: str
    """The value of the `Accept` header."""


def read_operation(document: ApiDocument, operation_id: str) -> Operation:
    """Reads an operation.

    Raises:
        UnusableDocument: there is no such operation, or a part of it is not valid.
    """
    place = document.place(operation_id)
    item = document.resolved(document.root["paths"][place.path])
    operation = item[place.method]
    parameters = read_parameters(document, item, operation)
    for each in parameters:
        if each.place == "path" and f"{{{each.name}}}" not in place.path:
            raise UnusableDocument(
                f"the path of '{operation_id}' has no place for the parameter '{each.name}'"
            )
    form = [each for each in parameters if each.place == FORM]
    return Operation(
        operation_id,
        place.method.upper(),
        place.path,
        server_of(document, item, operation),
        parameters,
        body_of(document, item, operation, form),
        security_of(document, operation),
        _accept(document, operation),
    )


def _accept(document: ApiDocument, operation: dict[str, Json]) -> str:
    """JSON first, because its value is the most useful; then what the operation says; then anything."""
    if document.edition is Edition.SWAGGER_2:
        listed = operation.get("produces", document.root.get("produces"))
        types = listed if isinstance(listed, list) else []
    else:
        responses = operation.get("responses")
        types = []
        for response in responses.values() if isinstance(responses, dict) else ():
            content = document.member(document.resolved(response), "content")
            types += content if isinstance(content, dict) else ()
    json = [
        each
        for each in dict.fromkeys(types)
        if isinstance(each, str) and "json" in each and each.isprintable()
    ]
    return ", ".join([*json[:5], "*/*;q=0.5"]) if json else "application/json, */*;q=0.5"
