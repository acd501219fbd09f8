"""Reads OpenAPI documents: Swagger 2.0, OpenAPI 3.0 and 3.1, in JSON or YAML. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import unquote

import orjson

from unspool.definitions.json_pointer import value_at
from unspool.definitions.json_value import Json
from unspool.definitions.nesting import is_deeper
from unspool.definitions.problems import DefinitionInvalid
from unspool.definitions.spelling import did_you_mean, shown
from unspool.definitions.yaml_core import MAX_DEPTH, compose

MAX_YAML_CHARACTERS: Final = 8 * 1024 * 1024
"""YAML is read about fifty times slower than JSON."""

_METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_MAX_HOPS: Final = 32
"""References that lead to references."""


class UnusableDocument(ValueError):
    """A document is not valid, or does not have what a call needs. The message names place and cause."""


class Edition(StrEnum):
    """The edition of the OpenAPI specification that a document follows."""

    SWAGGER_2 = "2.0"
    OPENAPI_3_0 = "3.0"
    OPENAPI_3_1 = "3.1"


@dataclass(frozen=True, slots=True)
class Place:
    """Where an operation is."""

    path: str
    method: str


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
                f"the reference '{shown(reference)}' leads to another document; only those within "
                "the document are followed"
            )
        try:
            return value_at(self.root, unquote(reference[1:]))
        except LookupError:
            raise UnusableDocument(f"the reference '{shown(reference)}' leads nowhere") from None

    def _similar(self, operation_id: str) -> Iterator[str]:
        """The ids with the same first letter, so that a large document has not too many to compare."""
        first = operation_id[:1].lower()
        return (known for known in self.operations if known[:1].lower() == first)


def parse(text: str) -> ApiDocument:
    """Reads a document.

    Raises:
        UnusableDocument: it is neither JSON nor YAML, exceeds a limit, or is not an OpenAPI document.
    """
    root = _value(text.removeprefix("\ufeff"))
    if not isinstance(root, dict):
        raise UnusableDocument("it is not an OpenAPI document, which is a mapping")
    operations: dict[str, Place] = {}
    ambiguous = set()
    for operation_id, place in _operations(root):
        if operation_id in operations:
            ambiguous.add(operation_id)
        operations[operation_id] = place
    return ApiDocument(root, _edition(root), operations, frozenset(ambiguous))


def _value(text: str) -> Json:
    if text.lstrip()[:1] in {"{", "["}:
        try:
            return _not_too_deep(orjson.loads(text))
        except orjson.JSONDecodeError as error:
            cause = f"it is not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
            if len(text) > MAX_YAML_CHARACTERS:
                raise UnusableDocument(cause) from None
    if len(text) > MAX_YAML_CHARACTERS:
        raise UnusableDocument(
            f"it is YAML with more than {MAX_YAML_CHARACTERS} characters; JSON may have more"
        )
    try:
        return compose(text).value
    except DefinitionInvalid as invalid:
        first = invalid.problems[0]
        raise UnusableDocument(f"{first.line}:{first.column}: {first.message}") from None


def _not_too_deep(value: Json) -> Json:
    if is_deeper(value, MAX_DEPTH):
        raise UnusableDocument(f"it is nested more than {MAX_DEPTH} levels deep")
    return value


def _edition(root: dict[str, Json]) -> Edition:
    version = root.get("swagger", root.get("openapi"))
    for edition in Edition:
        member = "swagger" if edition is Edition.SWAGGER_2 else "openapi"
        if str(root.get(member, "")).startswith(edition):
            return edition
    if version is None:
        raise UnusableDocument("it is not an OpenAPI document: it has neither 'openapi' nor 'swagger'")
    raise UnusableDocument(f"it is OpenAPI {shown(version)}; supported are 2.0, 3.0 and 3.1")


def _operations(root: dict[str, Json]) -> Iterator[tuple[str, Place]]:
    without_operations = ApiDocument(root, Edition.OPENAPI_3_1, {}, frozenset())
    paths = root.get("paths")
    for path, item in paths.items() if isinstance(paths, dict) else ():
        if not path.startswith("/"):
            continue
        item = without_operations.known(item)  # noqa: PLW2901 - what its reference leads to
        for method in _METHODS:
            operation = item.get(method)
            if isinstance(operation, dict) and isinstance(operation.get("operationId"), str):
                yield operation["operationId"], Place(path, method)
