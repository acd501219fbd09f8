"""Makes the schemas of a document into JSON Schemas that stand alone, to check what is sent. Pure.

Schemas of Swagger 2.0 and OpenAPI 3.0 are a dialect of draft 4, with `nullable`. Those of 3.1 and later are
draft 2020-12. A request need not have properties that are `readOnly`.
"""

from dataclasses import dataclass, field
from typing import Final

from unspool.definitions.data_schema import BadSchema, DataSchema
from unspool.definitions.json_value import Json
from unspool.executor.documents.text import UnusableDocument
from unspool.executor.openapi.document import ApiDocument

MAX_SCHEMAS: Final = 5_000
"""Schemas that are copied for the checks of one operation. One check has its own limit (`schema_cost.py`)."""
_MAX_DEPTH: Final = 64
"""Schemas within schemas, without references."""

_DRAFT_4: Final = "http://json-schema.org/draft-04/schema#"

_PLAIN: Final = frozenset(
    [
        "enum",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "maxItems",
        "maxLength",
        "maxProperties",
        "maximum",
        "minItems",
        "minLength",
        "minProperties",
        "minimum",
        "multipleOf",
        "pattern",
        "type",
        "uniqueItems",
    ]
)
_PLAIN_IN_3_1: Final = _PLAIN | {"const", "dependentRequired", "maxContains", "minContains"}
_ONE: Final = frozenset({"additionalProperties", "items", "not"})
_ONE_IN_3_1: Final = _ONE | {
    "contains",
    "else",
    "if",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
}
_LISTS: Final = frozenset({"allOf", "anyOf", "oneOf"})
_LISTS_IN_3_1: Final = _LISTS | {"prefixItems"}
_MAPS: Final = frozenset({"properties"})
_MAPS_IN_3_1: Final = _MAPS | {"dependentSchemas", "patternProperties"}


@dataclass(slots=True)
class SchemaChecks:
    """Makes the checks of one operation."""

    document: ApiDocument
    left: int = MAX_SCHEMAS
    """Schemas that can still be copied."""

    def check(self, schema: Json) -> DataSchema | None:
        """A check for values that are sent.

        Returns:
            None if the schema says nothing, or cannot be used: it is not valid, too large, too much work, or
            leads to another document. The server checks what it gets.
        """
        if not isinstance(schema, dict) or not schema:
            return None
        copier = _Copier(self.document, self.left)
        try:
            return DataSchema.compile(copier.copy(schema))
        except (BadSchema, UnusableDocument):
            return None
        finally:
            self.left = copier.left


@dataclass(slots=True)
class _Copier:
    """Copies a schema and those that it refers to."""

    document: ApiDocument
    left: int
    names: dict[str, str] = field(default_factory=dict)
    """By reference, the name in the copy."""
    waiting: list[str] = field(default_factory=list)

    def copy(self, schema: dict[str, Json]) -> dict[str, Json]:
        """The copy. Raises `BadSchema` and `UnusableDocument`."""
        root = self._schema(schema, 0)
        definitions: dict[str, Json] = {}
        while self.waiting:
            reference = self.waiting.pop()
            definitions[self.names[reference]] = self._schema(self.document.at(reference), 0)
        if definitions:
            root = {**root, self._member: definitions}
        return root if self._is_3_1 else {"$schema": _DRAFT_4, **root}

    @property
    def _is_3_1(self) -> bool:
        return self.document.edition.has_json_schema

    @property
    def _member(self) -> str:
        return "$defs" if self._is_3_1 else "definitions"

    def _schema(self, schema: Json, depth: int) -> Json:
        if not isinstance(schema, dict):
            return schema if isinstance(schema, bool) else {}
        if self.left <= 0 or depth > _MAX_DEPTH:
            raise BadSchema("it consists of too many schemas, or is nested too deeply")
        self.left -= 1
        copy: dict[str, Json] = {}
        if isinstance(reference := schema.get("$ref"), str):
            copy["$ref"] = f"#/{self._member}/{self._name(reference)}"
            if not self._is_3_1:
                return copy
        self._copy_members(schema, copy, depth + 1)
        return copy if self._is_3_1 or schema.get("nullable") is not True else _nullable(copy)

    def _name(self, reference: str) -> str:
        if reference not in self.names:
            self.names[reference] = str(len(self.names))
            self.waiting.append(reference)
        return self.names[reference]

    def _copy_members(self, schema: dict[str, Json], copy: dict[str, Json], depth: int) -> None:
        new = self._is_3_1
        plain, one, lists, maps = (
            (_PLAIN_IN_3_1, _ONE_IN_3_1, _LISTS_IN_3_1, _MAPS_IN_3_1)
            if new
            else (_PLAIN, _ONE, _LISTS, _MAPS)
        )
        for name, value in schema.items():
            if name in plain:
                copy[name] = value
            elif name in one:
                copy[name] = self._schema(value, depth)
            elif name in lists and isinstance(value, list) and value:
                copy[name] = [self._schema(each, depth) for each in value]
            elif name in maps and isinstance(value, dict):
                copy[name] = {key: self._schema(each, depth) for key, each in value.items()}
        if required := self._required(schema):
            copy["required"] = required

    def _required(self, schema: dict[str, Json]) -> list[str]:
        """The names of the properties that a request must have."""
        required, properties = schema.get("required"), schema.get("properties")
        if not isinstance(required, list):  # 2.0 documents sometimes have a boolean here
            return []
        known = properties if isinstance(properties, dict) else {}
        return list(
            dict.fromkeys(n for n in required if isinstance(n, str) and not self._read_only(known.get(n)))
        )

    def _read_only(self, schema: Json) -> bool:
        return self.document.known(schema).get("readOnly") is True


def _nullable(schema: dict[str, Json]) -> dict[str, Json]:
    """The schema, which also allows null."""
    return {"anyOf": [{"type": "null"}, schema]}
