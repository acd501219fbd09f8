"""The parameters of an operation: where they are sent, how they are written, which values they have. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import orjson

from unspool.definitions.data_schema import DataSchema, SchemaProblem
from unspool.definitions.json_value import Json
from unspool.definitions.spelling import shown
from unspool.executor.documents.text import UnusableDocument
from unspool.executor.openapi.document import ApiDocument, Edition
from unspool.executor.openapi.schemas import SchemaChecks
from unspool.executor.openapi.styles import Style

FORM: Final = "formData"
MAX_PARAMETERS: Final = 500
"""Parameters of one operation."""
_PLACES: Final = frozenset({"path", "query", "header", "cookie", FORM})

_STYLES: Final[Mapping[str, str]] = {"path": "simple", "query": "form", "header": "simple", "cookie": "form"}
"""The default styles of OpenAPI 3."""
_ALLOWED: Final[Mapping[str, frozenset[str]]] = {
    "path": frozenset({"simple", "label", "matrix"}),
    "query": frozenset({"form", "spaceDelimited", "pipeDelimited", "deepObject"}),
    "header": frozenset({"simple"}),
    "cookie": frozenset({"form"}),
}
_COLLECTION_FORMATS: Final[Mapping[str, str]] = {
    "ssv": "spaceDelimited",
    "tsv": "tabDelimited",
    "pipes": "pipeDelimited",
}
_IGNORED_HEADERS: Final = frozenset({"accept", "authorization", "content-type"})
"""OpenAPI 3 ignores header parameters with these names."""

_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?([eE][+-]?[0-9]{1,2})?")


@dataclass(frozen=True, slots=True)
class ValueSchema:
    """Which values a parameter may have."""

    types: frozenset[str]
    """Empty if the document does not say it."""
    items: "ValueSchema | None"
    check: DataSchema | None

    def problems(self, value: Json) -> list[SchemaProblem]:
        """What is wrong with a value."""
        return [] if self.check is None else self.check.problems(value)

    def fitting(self, value: Json) -> Json:
        """The value as its type wants it.

        A parameter is text when it is sent, so 7 and "7" are the same; a list may be given by its only item.
        """
        if "array" in self.types and not isinstance(value, list):
            value = [value] if not isinstance(value, dict) else value
        if isinstance(value, list):
            return [self.items.fitting(item) for item in value] if self.items else value
        if isinstance(value, str):
            return value if "string" in self.types else self._parsed(value)
        own = "boolean" if isinstance(value, bool) else "number"
        if isinstance(value, int | float) and "string" in self.types and not self.types & {own, "integer"}:
            return orjson.dumps(value).decode()
        return value

    def _parsed(self, text: str) -> Json:
        if "boolean" in self.types and text in {"true", "false"}:
            return text == "true"
        if "integer" in self.types and _INTEGER.fullmatch(text):
            return int(text)
        return float(text) if "number" in self.types and _NUMBER.fullmatch(text) else text


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of an operation, except its body."""

    name: str
    place: str
    """`path`, `query`, `header`, `cookie` or `formData`."""
    required: bool
    style: Style
    schema: ValueSchema
    default: Json = None
    as_json: bool = False
    """Whether its value is written as JSON; the style does not matter then."""
    is_file: bool = False


def read_parameters(checks: SchemaChecks, item: Json, operation: dict[str, Json]) -> tuple[Parameter, ...]:
    """The parameters of an operation; those of its path come first and can be replaced.

    Raises:
        UnusableDocument: a parameter is not valid, or there are too many.
    """
    document = checks.document
    found: dict[tuple[str, str], Parameter] = {}
    for owner in (item, operation):
        for written in _written(document, owner):
            parameter = _parameter(checks, written)
            if parameter is not None:
                found[parameter.place, parameter.name] = parameter
            if len(found) > MAX_PARAMETERS:
                raise UnusableDocument(f"an operation has more than {MAX_PARAMETERS} parameters")
    return tuple(found.values())


def body_parameter(document: ApiDocument, item: Json, operation: dict[str, Json]) -> dict[str, Json] | None:
    """The parameter of Swagger 2.0 that is the body."""
    found = None
    for owner in (item, operation):
        for written in _written(document, owner):
            if written.get("in") == "body":
                found = written
    return found


def _value_schema(checks: SchemaChecks, schema: Json, *, check: bool = True) -> ValueSchema:
    """Which values a schema allows."""
    document = checks.document
    resolved = document.known(schema)
    written = resolved.get("type")
    types = frozenset(
        name for name in (written if isinstance(written, list) else [written]) if isinstance(name, str)
    )
    item = (
        _value_schema(checks, _simple(document, resolved.get("items")), check=False)
        if "array" in types
        else None
    )
    return ValueSchema(types, item, checks.check(schema) if check else None)


def _simple(document: ApiDocument, schema: Json) -> Json:
    """A schema of items; one of lists within lists says nothing here, because styles cannot write them."""
    resolved = document.known(schema)
    return {} if resolved.get("type") == "array" else resolved


def _written(document: ApiDocument, owner: Json) -> Iterator[dict[str, Json]]:
    listed = owner.get("parameters") if isinstance(owner, dict) else None
    for each in listed if isinstance(listed, list) else ():
        written = document.resolved(each)
        if not isinstance(written, dict) or not isinstance(written.get("name"), str):
            raise UnusableDocument("a parameter of the operation has no name")
        yield written


def _parameter(checks: SchemaChecks, written: dict[str, Json]) -> Parameter | None:
    """A parameter. None if it is the body, or a header that is ignored."""
    document = checks.document
    name, place = written["name"], written.get("in")
    if place == "body":
        return None
    if not isinstance(place, str) or place not in _PLACES:
        raise UnusableDocument(f"the parameter '{shown(name)}' is in '{shown(place)}'")
    if document.edition is Edition.SWAGGER_2:
        return _of_swagger(checks, written, name, place)
    if place == FORM:
        raise UnusableDocument(f"the parameter '{shown(name)}' is in '{FORM}', which only Swagger 2.0 has")
    if place == "header" and name.lower() in _IGNORED_HEADERS:
        return None
    schema, as_json = written.get("schema"), False
    if isinstance(content := written.get("content"), dict) and content:
        schema, as_json = document.known(next(iter(content.values()))).get("schema"), True
    return Parameter(
        name,
        place,
        place == "path" or written.get("required") is True,
        _style(written, name, place),
        _value_schema(checks, schema),
        default=document.known(schema).get("default"),
        as_json=as_json,
    )


def _style(written: dict[str, Json], name: str, place: str) -> Style:
    style = written.get("style", _STYLES[place])
    if not isinstance(style, str) or style not in _ALLOWED[place]:
        raise UnusableDocument(f"the parameter '{shown(name)}' in {place} has the style '{shown(style)}'")
    explode = written.get("explode", style == "form")
    return Style(style, explode is True, place == "query" and written.get("allowReserved") is True)


def _of_swagger(checks: SchemaChecks, written: dict[str, Json], name: str, place: str) -> Parameter:
    collection = written.get("collectionFormat", "csv")
    simple = place in {"path", "header"}
    style = _COLLECTION_FORMATS.get(str(collection), "simple" if simple else "form")
    is_file = written.get("type") == "file"
    return Parameter(
        name,
        place,
        place == "path" or written.get("required") is True,
        Style(style, collection == "multi" and not simple),
        _value_schema(checks, {} if is_file else {n: v for n, v in written.items() if n != "required"}),
        default=written.get("default"),
        is_file=is_file,
    )
