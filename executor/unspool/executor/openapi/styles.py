"""Writes the values of parameters in the styles of OpenAPI (inventory J14; RFC 6570). Pure."""

from collections.abc import Iterator
from typing import Final, NamedTuple
from urllib.parse import quote

import orjson

from unspool.definitions.json_value import Json

_RESERVED: Final = "/:?@!$'()*,;="
"""Reserved characters that `allowReserved` leaves: not `&#+[]`, which end or change a value."""

_DELIMITERS: Final = {"spaceDelimited": " ", "pipeDelimited": "|", "tabDelimited": "\t"}
_DOT_SEGMENTS: Final = frozenset({".", ".."})


class Style(NamedTuple):
    """How a parameter is written."""

    name: str
    """As in OpenAPI 3; `tabDelimited` is only in Swagger 2.0."""
    explode: bool = False
    allow_reserved: bool = False


MAX_PART: Final = 8192
"""Characters of a parameter in a path."""


class NotWritable(ValueError):
    """A value cannot be written in a style. The message begins with a verb."""


def path_text(name: str, value: Json, style: Style) -> str:
    """A value as a part of a path. Raises `NotWritable`."""
    items, text = _encoded_items(value, style), ""
    match style.name:
        case "label":
            text = "." + (("." if style.explode else ",").join(_flat(items, explode=style.explode)))
        case "matrix":
            text = _matrix(_encoded(name), value, items, explode=style.explode)
        case _:
            text = _delimiter(style).join(_flat(items, explode=style.explode))
    if not text:
        raise NotWritable("is empty, but it is a part of the path")
    if len(text) > MAX_PART:
        raise NotWritable(f"has more than {MAX_PART} characters, but it is a part of the path")
    return text.replace(".", "%2E") if text in _DOT_SEGMENTS else text


def query_pairs(name: str, value: Json, style: Style) -> list[str]:
    """A value as `name=value` pairs, encoded, for a query or a form. Raises `NotWritable`."""
    if style.name == "deepObject" and isinstance(value, dict | list):
        return [f"{_encoded(key)}={_encoded(text, style)}" for key, text in _deep(name, value)]
    items, key = _encoded_items(value, style), _encoded(name)
    if style.explode and isinstance(value, dict):
        return [f"{member}={text}" for member, text in items]
    if style.explode and isinstance(value, list):
        return [f"{key}={text}" for _, text in items]
    return [f"{key}={_delimiter(style).join(_flat(items, explode=False))}"]


def header_text(value: Json, style: Style) -> str:
    """A value as the value of a header, not encoded. Raises `NotWritable`."""
    return _DELIMITERS.get(style.name, ",").join(_flat(list(_items(value)), explode=style.explode))


def scalar_text(value: Json) -> str:
    """A scalar as text. Raises `NotWritable` if it is an object or an array."""
    match value:
        case str():
            return value
        case None:
            return ""
        case dict() | list():
            raise NotWritable("has an object or a list inside of another, which this parameter cannot have")
        case _:
            return orjson.dumps(value).decode()


Items = list[tuple[str | None, str]]
"""The texts of a value: one of a scalar, one for each item of a list, and with its name for each member."""


def _items(value: Json) -> Iterator[tuple[str | None, str]]:
    match value:
        case dict():
            yield from ((name, scalar_text(member)) for name, member in value.items())
        case list():
            yield from ((None, scalar_text(item)) for item in value)
        case _:
            yield None, scalar_text(value)


def _encoded_items(value: Json, style: Style) -> Items:
    return [(name and _encoded(name), _encoded(text, style)) for name, text in _items(value)]


def _flat(items: Items, *, explode: bool) -> list[str]:
    if explode:
        return [text if name is None else f"{name}={text}" for name, text in items]
    return [text for item in items for text in item if text is not None]


def _matrix(name: str, value: Json, items: Items, *, explode: bool) -> str:
    if explode and isinstance(value, dict):
        pairs = [(member or "", text) for member, text in items]
    elif explode and isinstance(value, list):
        pairs = [(name, text) for _, text in items]
    else:
        pairs = [(name, ",".join(_flat(items, explode=False)))]
    return "".join(f";{key}={text}" if text else f";{key}" for key, text in pairs)


def _deep(name: str, value: Json) -> Iterator[tuple[str, str]]:
    """The scalars inside a value, as `name[member][0]`."""
    waiting: list[tuple[str, Json]] = [(name, value)]
    while waiting:
        key, found = waiting.pop()
        match found:
            case dict():
                waiting += [(f"{key}[{member}]", each) for member, each in reversed(found.items())]
            case list():
                waiting += [(f"{key}[{index}]", each) for index, each in reversed(list(enumerate(found)))]
            case _:
                yield key, scalar_text(found)


def _delimiter(style: Style) -> str:
    """What is between the items of a list, encoded."""
    return _encoded(_DELIMITERS[style.name]) if style.name in _DELIMITERS else ","


def _encoded(text: str, style: Style | None = None) -> str:
    return quote(text, safe=_RESERVED if style is not None and style.allow_reserved else "")
