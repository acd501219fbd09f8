"""Reads OpenAPI documents: Swagger 2.0, OpenAPI 3.0, 3.1 and 3.2, in JSON or YAML. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import unquote

from unspool.definitions.json_value import Json
from unspool.definitions.spelling import did_you_mean, shown
from unspool.executor.documents.references import at_reference
from unspool.executor.documents.text import UnusableDocument, read_document

_METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace", "query")
_MAX_HOPS: Final = 32
"""References that lead to references."""


class Edition(StrEnum):
    """The edition of the OpenAPI specification that a document follows."""

    SWAGGER_2 = "2.0"
    OPENAPI_3_0 = "3.0"
    OPENAPI_3_1 = "3.1"
    OPENAPI_3_2 = "3.2"

    @property
    def has_json_schema(self) -> bool:
        """Whether its schemas are those of JSON Schema 2020-12."""
        return self in {Edition.OPENAPI_3_1, Edition.OPENAPI_3_2}


@dataclass(frozen=True, slots=True)
class Place:
    """Where an operation is."""

    path: str
    method: str
    """As the document has it."""


@dataclass(frozen=True, slots=True)
class ApiDocument:
    """A parsed document."""

    root: dict[str, Json]
    edition: Edition
    operations: Mapping[str, Place]
    """By `operationId`."""
    ambiguous: frozenset[str]
    """The ids that several operations have."""

    def place(self, operation_id: str) -> Place:
        """Where an operation is. Raises `UnusableDocument` if there is not exactly one with this id."""
        if operation_id in self.ambiguous:
            raise UnusableDocument(f"several operations have the id '{shown(operation_id)}'")
        place = self.operations.get(operation_id)
        if place is None:
            meant = did_you_mean(operation_id, self._similar(operation_id))
            raise UnusableDocument(f"it has no operation '{shown(operation_id)}'{meant}")
        return place

    def operation(self, place: Place) -> tuple[dict[str, Json], dict[str, Json]]:
        """The path item and the operation at a place of this document."""
        item = self.known(self.root["paths"][place.path])
        return item, self.known(_by_method(item)[place.method])

    def resolved(self, value: Json) -> Json:
        """The value, or what its `$ref` leads to.

        Raises:
            UnusableDocument: the reference leads nowhere, to another document, or in a circle.
        """
        for _ in range(_MAX_HOPS):
            if not (isinstance(value, dict) and isinstance(value.get("$ref"), str)):
                return value
            value = self.at(value["$ref"])
        raise UnusableDocument("a reference leads in a circle, or over too many other references")

    def known(self, value: Json) -> dict[str, Json]:
        """The object that a value is, or that its `$ref` leads to; an empty one if there is none."""
        try:
            found = self.resolved(value)
        except UnusableDocument:
            return {}
        return found if isinstance(found, dict) else {}

    def at(self, reference: str) -> Json:
        """The value at a reference, which is a JSON pointer (RFC 6901, 6). Raises `UnusableDocument`."""
        if not reference.startswith("#"):
            raise UnusableDocument(
                f"the reference '{shown(reference)}' leads to another document, which was not fetched"
            )
        return at_reference(self.root, reference, unquote(reference[1:]))

    def _similar(self, operation_id: str) -> Iterator[str]:
        """The ids with the same first letter, so that a large document has not too many to compare."""
        first = operation_id[:1].lower()
        return (known for known in self.operations if known[:1].lower() == first)


def parse(text: str) -> ApiDocument:
    """Reads a document.

    Raises:
        UnusableDocument: it is neither JSON nor YAML, exceeds a limit, or is not an OpenAPI document.
    """
    root = read_document(text)
    operations: dict[str, Place] = {}
    ambiguous = set()
    for operation_id, place in _operations(root):
        if operation_id in operations:
            ambiguous.add(operation_id)
        operations[operation_id] = place
    return ApiDocument(root, _edition(root), operations, frozenset(ambiguous))


def _edition(root: dict[str, Json]) -> Edition:
    version = root.get("swagger", root.get("openapi"))
    for edition in Edition:
        member = "swagger" if edition is Edition.SWAGGER_2 else "openapi"
        if str(root.get(member, "")).startswith(edition):
            return edition
    if version is None:
        raise UnusableDocument("it is not an OpenAPI document: it has neither 'openapi' nor 'swagger'")
    raise UnusableDocument(f"it is OpenAPI {shown(version)}; supported are 2.0, 3.0, 3.1 and 3.2")


def _operations(root: dict[str, Json]) -> Iterator[tuple[str, Place]]:
    without_operations = ApiDocument(root, Edition.OPENAPI_3_1, {}, frozenset())
    paths = root.get("paths")
    for path, item in paths.items() if isinstance(paths, dict) else ():
        if not path.startswith("/"):
            continue
        item = without_operations.known(item)  # noqa: PLW2901 - what its reference leads to
        for method, operation in _by_method(item).items():
            if isinstance(operation, dict) and isinstance(operation.get("operationId"), str):
                yield operation["operationId"], Place(path, method)


def _by_method(item: dict[str, Json]) -> dict[str, Json]:
    """The operations of a path; OpenAPI 3.2 has some beside those with the usual methods."""
    found: dict[str, Json] = {method: item[method] for method in _METHODS if method in item}
    additional = item.get("additionalOperations")
    for method, operation in additional.items() if isinstance(additional, dict) else ():
        if method.isascii() and method.isalpha() and method.upper() != "CONNECT":
            found.setdefault(method, operation)
    return found
