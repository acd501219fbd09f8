"""An operation of a document, read once for many calls. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from unspool.definitions.json_value import Json
from unspool.definitions.spelling import shown
from unspool.executor.authentication.api_keys import Accepted
from unspool.executor.documents.text import UnusableDocument
from unspool.executor.openapi.bodies import IS_JSON, Body, body_of
from unspool.executor.openapi.document import ApiDocument, Edition
from unspool.executor.openapi.parameters import FORM, Parameter, read_parameters
from unspool.executor.openapi.schemas import SchemaChecks
from unspool.executor.openapi.security import security_of
from unspool.executor.openapi.servers import Server, server_of

_MOST_TYPES: Final = 5
"""Media types in an `Accept` header."""
MAX_PATH: Final = 4096
"""Characters of a path."""


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
    security: Accepted
    accept: str
    """The value of the `Accept` header."""


def read_operation(document: ApiDocument, operation_id: str) -> Operation:
    """Reads an operation.

    Raises:
        UnusableDocument: there is no such operation, or a part of it is not valid.
    """
    place = document.place(operation_id)
    if len(place.path) > MAX_PATH:
        raise UnusableDocument(f"the path of '{operation_id}' has more than {MAX_PATH} characters")
    item, operation = document.operation(place)
    checks = SchemaChecks(document)
    parameters = read_parameters(checks, item, operation)
    for each in parameters:
        if each.place == "path" and f"{{{each.name}}}" not in place.path:
            raise UnusableDocument(
                f"the path of '{operation_id}' has no place for the parameter '{shown(each.name)}'"
            )
    form = [each for each in parameters if each.place == FORM]
    return Operation(
        operation_id,
        place.method.upper(),
        place.path,
        server_of(document, item, operation),
        parameters,
        body_of(checks, item, operation, form),
        security_of(document, operation),
        _accept(document, operation),
    )


def _accept(document: ApiDocument, operation: dict[str, Json]) -> str:
    """The JSON types that the operation returns, because their values are the most useful; then any type."""
    json = [each for each in dict.fromkeys(_returned(document, operation)) if IS_JSON.fullmatch(each)]
    return ", ".join([*(json[:_MOST_TYPES] or ["application/json"]), "*/*;q=0.5"])


def _returned(document: ApiDocument, operation: dict[str, Json]) -> Iterator[str]:
    """The media types of the responses."""
    if document.edition is Edition.SWAGGER_2:
        produced = operation.get("produces", document.root.get("produces"))
        yield from (
            each for each in (produced if isinstance(produced, list) else ()) if isinstance(each, str)
        )
        return
    responses = operation.get("responses")
    for response in responses.values() if isinstance(responses, dict) else ():
        yield from document.known(document.known(response).get("content"))
