"""Turns the bytes of a response into the task's output (dsl-reference.md, "HTTP Response"; J8). Pure."""

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
_ENCODINGS: Final = frozenset({"", "identity", "gzip", "deflate", "br", "zstd"})
_CODECS: Final = ("ascii", "big5", "cp", "euc", "gb", "iso", "koi8", "latin", "mac", "shift", "utf")
"""Prefixes of the names of text encodings. Other codecs, such as punycode, can take very long."""


class HttpResponse(NamedTuple):
    """A response that was read completely."""

    status: int
    reason: str
    headers: CIMultiDictProxy[str]
    body: bytes
    sent: CIMultiDictProxy[str]
    """The headers that were sent with the request."""


class UnreadableContent(ValueError):
    """A body does not match its content type."""


def header_text(text: str) -> str:
    """A text from a response's head as a plain `str`: UTF-8, or else Latin-1 (RFC 9110, 5.5)."""
    raw = text.encode("utf-8", "surrogateescape")  # aiohttp decodes like this
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def to_base64(body: bytes) -> str | None:
    """The body in base64, for `output: raw`; None when it is empty."""
    return base64.b64encode(body).decode() if body else None


def check_encoding(encoding: str) -> None:
    """Checks `Content-Encoding`. Encodings that executors ask for are decoded while a body is read.

    Raises:
        UnreadableContent: the body has an encoding that nothing has asked for.
    """
    if encoding.strip().lower() not in _ENCODINGS:
        raise UnreadableContent(f"its content encoding {encoding[:40]!r} is not supported")


def content(body: bytes, content_type: str) -> Json:
    """The body, decoded by its content type: JSON, text or base64. None when it is empty.

    Raises:
        UnreadableContent: the content type is JSON, but the body is not JSON or is nested too deep.
    """
    if not body:
        return None
    kind = content_type.partition(";")[0].strip().lower()
    if _JSON.fullmatch(kind):
        return _json(body, content_type)
    if kind.startswith("text/"):
        return text(body, content_type)
    return to_base64(body)


def _json(body: bytes, content_type: str) -> Json:
    if "charset" in content_type.lower() or body[:3] == codecs.BOM_UTF8:
        body = text(body, content_type).encode("utf-8", "replace")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise UnreadableContent(f"its content is not valid JSON: {error}") from None
    if strict_json.too_deep(body, value):
        raise UnreadableContent(f"its content is nested deeper than {strict_json.MAX_DEPTH} levels")
    return value


def text(body: bytes, content_type: str) -> str:
    """The body as text, in the encoding that its content type names, else UTF-8."""
    named = _CHARSET.search(content_type)
    try:
        name = codecs.lookup(named[1]).name if named else "utf-8"
    except LookupError:
        name = "utf-8"
    if not name.startswith(_CODECS):
        name = "utf-8"
    return body.decode("utf-8-sig" if name == "utf-8" else name, "replace")
