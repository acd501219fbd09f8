"""The body of an operation: its media type, the values that it may have, and how it is written. Pure."""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import orjson

from unspool.definitions.data_schema import DataSchema
from unspool.definitions.json_value import Json
from unspool.definitions.spelling import shown
from unspool.executor.documents.text import UnusableDocument
from unspool.executor.openapi.document import ApiDocument, Edition
from unspool.executor.openapi.multipart import Part, multipart
from unspool.executor.openapi.parameters import Parameter, body_parameter
from unspool.executor.openapi.schemas import SchemaChecks
from unspool.executor.openapi.styles import NotWritable, Style, query_pairs, scalar_text

FORM: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"
_JSON: Final = "application/json"
_BINARY: Final = "application/octet-stream"

IS_JSON: Final = re.compile(r"application/json|text/json|[\w.-]{1,100}/[\w.-]{1,100}\+json", re.ASCII)
"""Media types of JSON."""
_IS_TEXT: Final = re.compile(r"text/.*|application/(?:xml|yaml|x-yaml)|[\w.-]+/[\w.-]+\+(?:xml|yaml)")
_RANGES: Final = frozenset({"*/*", "application/*"})
_MOST_COMBINED: Final = 1_000
"""Schemas within `allOf`, `anyOf` and `oneOf` that are searched for properties."""
_MEDIA_TYPE: Final = re.compile(r"[\w.*+-]{1,100}/[\w.*+-]{1,100}(?:;[ \x21-\x7e]{0,100})?", re.ASCII)

_OTHER_TYPES: Final = ["array", "boolean", "integer", "null", "number", "string"]

_EXPLODED: Final = Style("form", explode=True)


@dataclass(frozen=True, slots=True)
class Property:
    """How one property of a form is written."""

    style: Style | None = None
    """None: lists repeat the name, objects are JSON."""
    media_type: str = ""
    is_binary: bool = False
    """Whether its value is base64 of what is sent."""


@dataclass(frozen=True, slots=True)
class Body:
    """The body of an operation."""

    media_type: str
    required: bool
    names: tuple[str, ...]
    """The parameters of a call that are the whole body."""
    is_object: bool
    """Whether its members can be parameters of a call."""
    has_own: bool
    """Whether it is an object with a property that has one of `names`."""
    check: DataSchema | None
    properties: Mapping[str, Property] = field(default_factory=dict)

    def takes(self, rest: dict[str, Json]) -> bool:
        """Whether parameters of a call that are no others can be the body."""
        return self.is_object or (len(rest) == 1 and next(iter(rest)) in self.names)

    def value(self, rest: dict[str, Json]) -> Json:
        """The value of the body, from the parameters that it takes; None if there are none."""
        if len(rest) == 1:
            name, value = next(iter(rest.items()))
            if name in self.names and not (self.has_own and not isinstance(value, dict)):
                return value
        return rest or None

    def written(self, value: Json) -> tuple[str, bytes]:
        """The content type and the bytes of a value. Raises `NotWritable`."""
        kind = self.media_type.partition(";")[0].strip().lower()
        if IS_JSON.fullmatch(kind):
            return self.media_type, orjson.dumps(value)
        if kind == FORM:
            return self.media_type, "&".join(self._pairs(_object(value))).encode()
        if kind == MULTIPART:
            return multipart(
                [part for name, each in _object(value).items() for part in self._parts(name, each)]
            )
        if _IS_TEXT.fullmatch(kind):
            if isinstance(value, dict | list):
                raise NotWritable(f"must be text, because it is sent as {kind}")
            return self.media_type, scalar_text(value).encode()
        return self.media_type, _bytes(value)

    def _pairs(self, value: dict[str, Json]) -> Iterator[str]:
        for name, each in value.items():
            style = self.properties.get(name, _ANY).style
            if each is not None:
                yield from query_pairs(name, _plain(each) if style is None else each, style or _EXPLODED)

    def _parts(self, name: str, value: Json) -> Iterator[Part]:
        if value is None:
            return
        found = self.properties.get(name, _ANY)
        for each in value if isinstance(value, list) else (value,):
            if found.is_binary:
                yield Part(name, _bytes(each), found.media_type or _BINARY, is_file=True)
            elif isinstance(each, dict | list) or IS_JSON.fullmatch(found.media_type):
                yield Part(name, orjson.dumps(each), found.media_type or _JSON)
            else:
                yield Part(name, scalar_text(each).encode(), found.media_type or "text/plain; charset=utf-8")


_ANY: Final = Property()


def body_of(
    checks: SchemaChecks, item: Json, operation: dict[str, Json], form: Sequence[Parameter]
) -> Body | None:
    """The body of an operation; None if it has none.

    Args:
        checks: makes checks of schemas of the document.
        item: the path of the operation.
        operation: the operation.
        form: the parameters of a form (Swagger 2.0). They are checked as parameters, not here.

    Raises:
        UnusableDocument: a reference leads nowhere, or a media type is not valid.
    """
    document = checks.document
    if document.edition is Edition.SWAGGER_2:
        consumes = operation.get("consumes", document.root.get("consumes"))
        types = [each for each in consumes if isinstance(each, str)] if isinstance(consumes, list) else []
        if form:
            return _form_of_swagger(types, form)
        written = body_parameter(document, item, operation)
        if written is None:
            return None
        names = (written["name"], "body")
        return _body(checks, _preferred(types or [_JSON]), written, names, written.get("schema"), None)
    request = document.resolved(operation.get("requestBody"))
    content = document.known(request.get("content")) if isinstance(request, dict) else {}
    if not content:
        return None
    media_type = _preferred([*content])
    found = document.known(content[media_type])
    return _body(checks, media_type, request, ("body",), found.get("schema"), found.get("encoding"))


def _body(
    checks: SchemaChecks,
    media_type: str,
    written: dict[str, Json],
    names: tuple[str, ...],
    schema: Json,
    encoding: Json,
) -> Body:
    if not _MEDIA_TYPE.fullmatch(media_type):
        raise UnusableDocument(f"the body of the operation has the media type '{shown(media_type)}'")
    document = checks.document
    types = document.known(schema).get("type")
    properties = dict(_properties(document, schema))
    encodings = encoding if isinstance(encoding, dict) else {}
    return Body(
        _JSON if media_type in _RANGES else media_type,
        written.get("required") is True,
        names,
        is_object=any(each not in _OTHER_TYPES for each in (types if isinstance(types, list) else [types])),
        has_own=not properties.keys().isdisjoint(names),
        check=checks.check(schema),
        properties={name: _property(each, encodings.get(name)) for name, each in properties.items()},
    )


def _form_of_swagger(types: list[str], form: Sequence[Parameter]) -> Body:
    files = any(each.is_file for each in form)
    media_type = MULTIPART if files or (MULTIPART in types and FORM not in types) else FORM
    properties = {each.name: Property(each.style, is_binary=each.is_file) for each in form}
    return Body(media_type, False, (), is_object=False, has_own=False, check=None, properties=properties)


def _preferred(types: Sequence[str]) -> str:
    """The type that a body is written in: JSON, else a form, else the first."""
    plain = {each.partition(";")[0].strip().lower(): each for each in reversed(types)}
    for wanted in (IS_JSON.fullmatch, _RANGES.__contains__, FORM.__eq__, MULTIPART.__eq__):
        for kind in reversed(plain):
            if wanted(kind):
                return plain[kind]
    return types[0]


def _properties(document: ApiDocument, schema: Json) -> Iterator[tuple[str, Json]]:
    """The properties of a schema and of the schemas that it combines. The first of a name comes last."""
    found = []
    waiting, seen = [document.known(schema)], set[int]()
    while waiting and len(seen) < _MOST_COMBINED:
        resolved = waiting.pop()
        if id(resolved) in seen:
            continue
        seen.add(id(resolved))
        for keyword in ("allOf", "anyOf", "oneOf"):
            combined = resolved.get(keyword)
            waiting += [document.known(each) for each in combined] if isinstance(combined, list) else []
        own = resolved.get("properties")
        found += [*own.items()] if isinstance(own, dict) else []
    for name, each in reversed(found):
        yield name, document.known(each)


def _property(schema: Json, encoding: Json) -> Property:
    schema = schema if isinstance(schema, dict) else {}
    encoding = encoding if isinstance(encoding, dict) else {}
    style = None
    if {"style", "explode", "allowReserved"} & encoding.keys():
        name = str(encoding.get("style", "form"))
        style = Style(
            name, encoding.get("explode", name == "form") is True, encoding.get("allowReserved") is True
        )
    media_type = encoding.get("contentType")
    item = schema.get("items")
    media_type = media_type.partition(",")[0].strip() if isinstance(media_type, str) else ""
    return Property(
        style,
        media_type if _MEDIA_TYPE.fullmatch(media_type) else "",
        _is_binary(schema) or (isinstance(item, dict) and _is_binary(item)),
    )


def _is_binary(schema: dict[str, Json]) -> bool:
    """Whether a property is bytes (3.0: `format: binary`; 3.1: `contentMediaType` without an encoding)."""
    return schema.get("format") == "binary" or (
        "contentMediaType" in schema and "contentEncoding" not in schema
    )


def _plain(value: Json) -> Json:
    """A property of a form, with JSON in place of objects, and of lists within a list."""
    if isinstance(value, list):
        return [orjson.dumps(item).decode() if isinstance(item, dict | list) else item for item in value]
    return orjson.dumps(value).decode() if isinstance(value, dict) else value


def _object(value: Json) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise NotWritable("must be an object, because it is sent as a form")
    return value


def _bytes(value: Json) -> bytes:
    """The bytes of a value in base64, as `output: raw` gives them."""
    try:
        if isinstance(value, str):
            return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        pass
    raise NotWritable("must be text in base64, because it is sent as bytes")
