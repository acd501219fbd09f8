"""From a response's bytes to the value of a task's output: pure (dsl-reference.md, "HTTP Response"; J8)."""

import base64
import codecs
import re
from typing import Final, NamedTuple

import orjson
from multidict import CIMultiDictProxy

from unspool.definitions.json_value import Json
from unspool.eventstore import strict_json

_JSON: Final = re.compile(r"application/json|[\w.-]+/[\w.-]+\+json|text/json")
_CHARSET: Final = re.compile(r';\s*charset="?([\w.:-]+)"?', re.IGNORECASE)
_CODECS: Final = ("ascii", "big5", "cp", "euc", "gb", "iso", "koi8", "latin", "mac", "shift", "utf")
"""Beginnings of the names of codecs that are text encodings; others, such as punycode, can take for ever."""


class HttpResponse(NamedTuple):
    """A response read to its end."""

    status: int
    reason: str
    headers: CIMultiDictProxy[str]
    body: bytes
    sent: CIMultiDictProxy[str]
    """Headers of the request as they were sent."""


class UnreadableContent(ValueError):
    """A body is not what its content type says."""


def readable(text: str) -> str:
    """A text from a response's head, as a plain `str`: in Latin-1 what is no UTF-8 (RFC 9110, 5.5)."""
    written = text.encode("utf-8", "surrogateescape")  # as aiohttp has decoded it
    try:
        return written.decode()
    except UnicodeDecodeError:
        return written.decode("latin-1")


def encoded(body: bytes) -> str | None:
    """The body in base64, for `output: raw`; None when it is empty."""
    return base64.b64encode(body).decode() if body else None


def content(body: bytes, content_type: str) -> Json:
    """The body, deserialised by its content type: JSON, text, or anything else in base64. None when empty.

    Raises:
        UnreadableContent: it is not the JSON it claims to be.
    """
    if not body:
        return None
    kind = content_type.partition(";")[0].strip().lower()
    if _JSON.fullmatch(kind):
        return _json(body, content_type)
    if kind.startswith("text/"):
        return _text(body, content_type)
    return encoded(body)


def _json(body: bytes, content_type: str) -> Json:
    if "charset" in content_type.lower() or body[:3] == codecs.BOM_UTF8:
        body = _text(body, content_type).encode("utf-8", "replace")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise UnreadableContent(f"its content is not valid JSON: {error}") from None
    if strict_json.too_deep(body, value):
        raise UnreadableContent(f"its content is nested deeper than {strict_json.MAX_DEPTH} levels")
    return value


def _text(body: bytes, content_type: str) -> str:
    named = _CHARSET.search(content_type)
    try:
        name = codecs.lookup(named[1]).name if named else "utf-8"
    except LookupError:
        name = "utf-8"
    if not name.startswith(_CODECS):
        name = "utf-8"
    return body.decode("utf-8-sig" if name == "utf-8" else name, "replace")
