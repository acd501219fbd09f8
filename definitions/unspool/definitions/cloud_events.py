"""CloudEvents 1.0 as JSON objects (https://github.com/cloudevents/spec, "JSON Event Format")."""

import re
from base64 import b64encode
from calendar import monthrange
from collections.abc import Callable, Iterator
from typing import Any, Final

from unspool.definitions.json_value import Json
from unspool.definitions.spelling import shown

SPEC_VERSION: Final = "1.0"

_REQUIRED: Final = ("specversion", "id", "source", "type")
_TEXTS: Final = frozenset({*_REQUIRED, "subject", "time", "datacontenttype", "dataschema", "data_base64"})
RESERVED: Final = _TEXTS | {"data"}
"""Names of members of an event that are not extension attributes."""

ATTRIBUTE_NAME: Final = re.compile(r"[a-z0-9]+")
"""The form of the name of an attribute."""

_TIME: Final = re.compile(
    r"(\d{4})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[Tt](?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?"
    r"(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)
_SMALL: Final = 4_000_000
"""Bytes of JSON whose value has surely less than the characters that a value may have."""

_BASE64: Final = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", re.ASCII)


def problems_of_published(event: Json, size: int) -> list[str]:
    """Returns what is wrong with an event that is to be published, also that no task could consume it.

    Args:
        event: the event.
        size: how large it is as JSON, in bytes or characters, or a bit less.
    """
    problems = problems_of(event)
    if size > _SMALL:
        from unspool.definitions.expressions import (  # noqa: PLC0415 - slow to import
            MAX_JSON_SIZE,
            LimitExceeded,
            json_size,
        )

        try:
            json_size(event)
        except LimitExceeded:
            problems.append(f"the event has more than {MAX_JSON_SIZE} characters")
    return problems


def problems_of(event: Json) -> list[str]:
    """Returns what is wrong with an event; nothing if it is a valid CloudEvent."""
    if not isinstance(event, dict):
        return ["a CloudEvent is a JSON object"]
    return [*_missing(event), *_wrong_attributes(event)]


def _missing(event: dict[str, Any]) -> Iterator[str]:
    yield from (f"attribute '{name}' is missing" for name in _REQUIRED if event.get(name) in (None, ""))


def _wrong_attributes(event: dict[str, Any]) -> Iterator[str]:
    for name, value in event.items():
        if name == "data" or value is None:
            continue
        if name in _TEXTS:
            yield from _wrong_text(name, value)
        elif not ATTRIBUTE_NAME.fullmatch(name):
            yield f"'{shown(name)}' is not a name of an attribute: use lower-case letters and digits"
        elif not isinstance(value, str | int):  # a boolean is an int
            yield f"attribute '{name}' must be text, a whole number or a boolean"
    if event.get("data") is not None and event.get("data_base64") is not None:
        yield "an event has 'data' or 'data_base64', not both"


def _wrong_text(name: str, value: Any) -> Iterator[str]:
    if not isinstance(value, str):
        yield f"attribute '{name}' must be text"
        return
    wanted, fits = _FORMATS.get(name, ("", None))
    if value and fits is not None and not fits(value):
        yield f"attribute '{name}' must be {wanted}, not '{shown(value)}'"


def _is_time(text: str) -> bool:
    found = _TIME.fullmatch(text)
    if found is None:
        return False
    year, month, day = map(int, found.groups())
    return day <= monthrange(year, month)[1]


_FORMATS: Final[dict[str, tuple[str, Callable[[str], object]]]] = {
    "specversion": (SPEC_VERSION, SPEC_VERSION.__eq__),
    "time": ("a time as in RFC 3339", _is_time),
    "data_base64": ("base64", _BASE64.fullmatch),
}
"""The attributes with a format, in words and as a check."""


def from_body(content_type: str, body: bytes, parse: Callable[[bytes], Json]) -> dict[str, Json]:
    """Returns the members of an event whose data is a body of this type: JSON, text, or else base64.

    Args:
        content_type: the media type with its parameters; empty if there is none, which means JSON.
        body: the bytes. Without any, the event has no data.
        parse: parses JSON.

    Raises:
        UnicodeDecodeError: a text is not UTF-8.
    """
    kind = content_type.partition(";")[0].strip().lower()
    members: dict[str, Json] = {"datacontenttype": content_type} if content_type else {}
    if not body:
        return members
    if kind in {"", "application/json"} or kind.endswith("+json"):
        return {**members, "data": parse(body)}
    if kind.startswith("text/"):
        return {**members, "data": body.decode()}
    return {**members, "data_base64": b64encode(body).decode()}
