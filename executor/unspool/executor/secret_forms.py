"""The texts of secrets, and the encodings in which programs write them."""

import base64
import json
import re
import string
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from html import escape
from typing import Final
from urllib.parse import quote, quote_plus, unquote

from unspool.definitions.json_value import Json
from unspool.executor.literal_search import LiteralSearch, Span
from unspool.executor.shown_forms import shown_forms

_MIN_LENGTH: Final = 4
"""Shorter values are not masked: texts would be unreadable if each "1" were masked."""

_LONG: Final = 256
"""Values with more characters are long: they are not found if each character has another encoding."""

MOST_ENCODED: Final = 96
"""Characters that an encoding makes of one at most."""

_PIECE: Final = re.compile(r"\\+|[^\\]", re.DOTALL)
"""A sequence of backslashes is one piece: each encoding in JSON doubles its length."""
_BACKSLASH: Final = r"(?:\\|%5[Cc])"
"""Its repetitions are possessive and limited, so that many backslashes cost linear time."""

_BASE64_SKIP: Final = (0, 2, 3)
"""How many characters of base64 depend on the bytes before a value, by the value's offset modulo 3."""
_SAFE_IN_URLS: Final = ("", "/", "/:@!$&'()*+,;=-._~?")
"""Sets of characters that programs do not encode in URLs."""

_BASE64: Final = frozenset(string.ascii_letters + string.digits + "+/_-")


def texts_of(secrets: Iterable[Json]) -> tuple[set[str], set[str]]:
    """The texts that are secret: those of short values, and those of long ones.

    Each line is one, too, and what the executor itself makes of an address.
    """
    short: set[str] = set()
    long: set[str] = set()
    for value in (value for secret in secrets for value in _values(secret)):
        whole = value.strip()
        found = {value, whole, *shown_forms(whole), *(line.strip() for line in value.splitlines())}
        (long if len(value) > _LONG else short).update(text for text in found if len(text) >= _MIN_LENGTH)
    return short, long - short


def _values(secret: Json) -> Iterator[str]:
    """Yields the secret itself, or the strings in its members."""
    match secret:
        case str():
            yield secret
        case dict():
            yield from (text for member in secret.values() for text in _values(member))
        case list():
            yield from (text for item in secret for text in _values(item))
        case int() | float() if not isinstance(secret, bool):
            yield str(secret)
        case _:
            pass


def patterns_of(text: str) -> Iterator[str]:
    """Yields regular expressions for all encodings of a secret but base64."""
    for form in {text, unquote(text)}:
        if len(form) >= _MIN_LENGTH:
            yield "".join(map(_any_encoding, _PIECE.findall(form)))


@cache
def _any_encoding(character: str) -> str:
    """Matches a character unchanged or as URLs, JSON or HTML encode it, also with several encodings.

    Each character has its own alternatives, because programs encode different characters.
    """
    if character.startswith("\\"):
        return f"{_BACKSLASH}{{1,32}}+"
    in_url = "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "replace"))
    forms = [re.escape(character), f"(?i:{in_url})"]
    if character.isascii() and character.isalnum():
        return f"(?:{'|'.join(forms)})"
    in_json = json.dumps(character)[1:-1].replace("\\", "")
    forms += [f"(?i:{re.escape(in_json)})", re.escape(escape(character))]
    if character == " ":
        forms.append(re.escape("+"))
    return f"(?:{_BACKSLASH}{{0,8}}+(?:{'|'.join(dict.fromkeys(form for form in forms if form))}))"


def literals_of(exact: Collection[str], others: Collection[str]) -> LiteralSearch:
    """What finds secrets by literal texts.

    Args:
        exact: secrets that patterns find; here they are found in base64 only.
        others: secrets that nothing else finds.
    """
    found: dict[str, Span] = {}
    for text in exact:
        for form in {text, *_escaped(text), *_quoted(text)}:
            found.update(_in_base64(form))
    for text in others:
        if len(text) >= _MIN_LENGTH:
            for form in (text, json.dumps(text)[1:-1]):
                found.update(_in_base64(form))
            found.update(dict.fromkeys(_encoded(text), (0, 0)))
    return LiteralSearch(found, _BASE64)


def _encoded(text: str) -> Iterator[str]:
    """Yields the encodings of a text that programs commonly make of all of it."""
    for form in {text, unquote(text), escape(text), *_escaped(text), *_quoted(text)}:
        if len(form) >= _MIN_LENGTH:
            yield form
            yield re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), form)


def _escaped(text: str) -> Iterator[str]:
    once = json.dumps(text)[1:-1]
    yield from (once, json.dumps(text, ensure_ascii=False)[1:-1], json.dumps(once)[1:-1])


def _quoted(text: str) -> Iterator[str]:
    encoded = text.encode("utf-8", "replace")
    yield from (quote(encoded, safe=safe) for safe in _SAFE_IN_URLS)
    yield quote_plus(encoded)


def _in_base64(text: str) -> Iterator[tuple[str, Span]]:
    """Yields base64 of any bytes that contain a text, with the characters around it that show parts of it.

    The number of bytes before it decides its alignment.
    """
    value = text.encode("utf-8", "replace")
    for offset, skip in enumerate(_BASE64_SKIP):
        core = base64.b64encode(b"\0" * offset + value).decode()[skip : (offset + len(value)) * 8 // 6]
        around = (1 if offset else 0, 1 if (offset + len(value)) % 3 else 0)
        for form in {core, core.replace("+", "-").replace("/", "_")}:
            if len(form) >= _MIN_LENGTH:
                yield form, around
