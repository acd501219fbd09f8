"""AsyncAPI documents, 2.0 to 2.6 and 3: references, traits, servers and operations. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from unspool.definitions.data_schema import BadSchema, DataSchema
from unspool.definitions.document import load
from unspool.definitions.errors import configuration
from unspool.definitions.json_pointer import value_at
from unspool.definitions.json_value import Json
from unspool.definitions.problems import DefinitionInvalid
from unspool.eventstore import strict_json
from unspool.executor.outcome import Rejected

_MOST_REFERENCES: Final = 32
"""References that lead from one to the next."""

_JSON_SCHEMAS: Final = ("application/vnd.aai.asyncapi", "application/schema+json", "application/schema+yaml")
_DRAFT: Final = "http://json-schema.org/draft-07/schema#"
_MAPPING: Final = "an AsyncAPI document is a mapping; it begins with 'asyncapi:'"


def refuse(detail: str) -> Rejected:
    """The exception for a document or a call that cannot be used."""
    return Rejected(configuration(detail))


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
        """The object that a value is or refers to, with its traits. Raises `Rejected`."""
        found = self._followed(value)
        if not isinstance(found, dict):
            raise refuse("the AsyncAPI document has something else where an object must be")
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
        """The compiled schema; None if there is none, or it is not a JSON Schema. Raises `Rejected`."""
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
            root["components"] = self.value.get("components", {})
        try:
            return DataSchema.compile(root)
        except BadSchema as error:
            raise refuse(f"a schema of the AsyncAPI document cannot be used: {error}") from None

    def _followed(self, value: Json) -> Json:
        for _ in range(_MOST_REFERENCES):
            if not isinstance(value, dict) or "$ref" not in value:
                return value
            value = self._referred(value["$ref"])
        raise refuse("the AsyncAPI document has references that lead in a circle")

    def _referred(self, reference: Json) -> Json:
        if not isinstance(reference, str) or not reference.startswith("#/"):
            raise refuse(f"the AsyncAPI document refers to {reference!r}; only references inside it work")
        try:
            value = value_at(self.value, reference[1:])
        except LookupError:
            value = None
        if value is None:
            raise refuse(f"the AsyncAPI document has no {reference}")
        return value


def parse_document(text: str) -> AsyncApiDocument:
    """Reads a document in JSON or YAML. Raises `Rejected`."""
    value = _value(text)
    version = value.get("asyncapi")
    for major in (2, 3):
        if isinstance(version, str) and version.startswith(f"{major}."):
            return AsyncApiDocument(value, major)
    raise refuse(f"the document is for AsyncAPI {version!r}; versions 2 and 3 can be used")


def _value(text: str) -> dict[str, Any]:
    if text.lstrip().startswith("{"):
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise refuse(f"the AsyncAPI document is not valid JSON: {error}") from None
        if strict_json.too_deep(text.encode(), value):
            raise refuse(f"the AsyncAPI document is nested deeper than {strict_json.MAX_DEPTH} levels")
        return value if isinstance(value, dict) else {}
    try:
        return load(text, mapping=_MAPPING).value
    except DefinitionInvalid as invalid:
        first = invalid.problems[0]
        raise refuse(f"the AsyncAPI document: {first.line}:{first.column}: {first.message}") from None


def texts(value: Json) -> Iterator[str]:
    """The texts of a list."""
    yield from (item for item in value if isinstance(item, str)) if isinstance(value, list) else ()
