"""AsyncAPI documents, 2.0 to 2.6 and 3: references, traits, servers and operations. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

import orjson

from unspool.definitions.data_schema import BadSchema, DataSchema
from unspool.definitions.json_value import Json
from unspool.definitions.spelling import shown
from unspool.executor.documents.references import OTHERS, at_reference
from unspool.executor.documents.text import UnusableDocument, read_document

_MOST_REFERENCES: Final = 32
"""References that lead from one to the next."""

_JSON_SCHEMAS: Final = ("application/vnd.aai.asyncapi", "application/schema+json", "application/schema+yaml")
_DRAFT: Final = "http://json-schema.org/draft-07/schema#"


@dataclass(frozen=True, slots=True)
class AsyncApiDocument:
    """A document."""

    value: dict[str, Json]
    version: int
    """The major version: 2 or 3."""
    _schemas: dict[int, DataSchema | None] = field(default_factory=dict, repr=False)
    """Compiled schemas, by the identity of what they are compiled from, which the document keeps."""

    @property
    def servers(self) -> dict[str, dict[str, Json]]:
        """The servers by name, in their order."""
        return self.members(self.value.get("servers"))

    def at(self, value: Json) -> dict[str, Json]:
        """The object that a value is or refers to, with its traits. Raises `UnusableDocument`."""
        found = self._followed(value)
        if not isinstance(found, dict):
            raise UnusableDocument("it has something else where an object must be")
        traits = found.get("traits")
        if not isinstance(traits, list):
            return found
        merged: dict[str, Json] = {}
        for trait in traits:
            merged |= self.at(trait)
        return {**merged, **found}

    def members(self, value: Json) -> dict[str, dict[str, Json]]:
        """The objects of a map, by name; empty if there is none."""
        if value is None:
            return {}
        return {name: self.at(member) for name, member in self.at(value).items()}

    def items(self, value: Json) -> list[dict[str, Json]]:
        """The objects of a list; empty if there is none."""
        return [self.at(item) for item in value] if isinstance(value, list) else []

    def bindings(self, value: Mapping[str, Json], protocol: str) -> dict[str, Json]:
        """The binding of a server, channel, operation or message for a protocol."""
        bindings = value.get("bindings")
        found = self.at(bindings).get(protocol) if bindings is not None else None
        return self.at(found) if found is not None else {}

    def schema(self, schema: Json, format_: Json) -> DataSchema | None:
        """The compiled schema; None if there is none that is a JSON Schema. Raises `UnusableDocument`."""
        if not isinstance(schema, dict | bool):
            return None
        if isinstance(format_, str) and not format_.startswith(_JSON_SCHEMAS):
            return None
        key = id(schema)
        if key not in self._schemas:
            self._schemas[key] = self._compiled(schema)
        return self._schemas[key]

    def _compiled(self, schema: Json) -> DataSchema:
        root: dict[str, Json] = {"$schema": _DRAFT, "allOf": [schema]}
        if b'"$ref"' in orjson.dumps(schema):
            root |= {name: self.value[name] for name in ("components", OTHERS) if name in self.value}
        try:
            return DataSchema.compile(root)
        except BadSchema as error:
            raise UnusableDocument(f"one of its schemas cannot be used: {error}") from None

    def _followed(self, value: Json) -> Json:
        for _ in range(_MOST_REFERENCES):
            if not isinstance(value, dict) or "$ref" not in value:
                return value
            value = self._referred(value["$ref"])
        raise UnusableDocument("it has references that lead in a circle")

    def _referred(self, reference: Json) -> Json:
        if not isinstance(reference, str) or not reference.startswith("#/"):
            raise UnusableDocument(f"it refers to {shown(reference)}, which was not fetched")
        return at_reference(self.value, reference, unquote(reference[1:]))


def parse_document(text: str) -> AsyncApiDocument:
    """Reads a document in JSON or YAML. Raises `UnusableDocument`."""
    value = read_document(text)
    version = value.get("asyncapi")
    for major in (2, 3):
        if isinstance(version, str) and version.startswith(f"{major}."):
            return AsyncApiDocument(value, major)
    raise UnusableDocument(f"it is for AsyncAPI {shown(version)}; versions 2 and 3 can be used")


def texts(value: Json) -> Iterator[str]:
    """The texts of a list."""
    yield from (item for item in value if isinstance(item, str)) if isinstance(value, list) else ()
