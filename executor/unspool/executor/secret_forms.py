"""The texts of secrets, and the literal texts by which they are found."""

import base64
import string
from collections.abc import Collection, Iterable, Iterator
from typing import Final
from urllib.parse import unquote

from unspool.definitions.json_value import Json
from unspool.executor.joined_lines import Span
from unspool.executor.literal_search import LiteralSearch
from unspool.executor.shown_forms import shown_forms
from unspool.executor.written_forms import json_forms, usual_forms, written_forms

_MIN_LENGTH: Final = 4
"""Shorter values are not masked: texts would be unreadable if each "1" were masked."""

_LONG: Final = 256
"""Values with more characters are long: they are not found if each character has another encoding."""

_BASE64_SKIP: Final = (0, 2, 3)
"""How many characters of base64 depend on the bytes before a value, by the value's offset modulo 3."""
_BASE64: Final = frozenset(string.ascii_letters + string.digits + "+/_-")
_BASE64_WRITTEN: Final = (("-", "_"), ("+", "\\/"), ("\\u002B", "/"), ("%2B", "%2F"))
"""What there is instead of `+` and `/` in URL-safe base64, and in base64 inside of JSON and URLs."""


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


def unchanged(values: Iterable[str]) -> LiteralSearch:
    """What finds values and their lines unchanged."""
    short, long = texts_of(values)
    return LiteralSearch(dict.fromkeys(short | long, (0, 0)), _BASE64)


def literals_of(exact: Collection[str], others: Collection[str]) -> LiteralSearch:
    """What finds secrets by literal texts.

    Args:
        exact: secrets that patterns find; here they are found in base64, in hexadecimal digits, and as most
            programs write all of them.
        others: secrets that nothing else finds.
    """
    found: dict[str, Span] = {}
    for text in exact:
        forms = usual_forms(text)
        _add_coded(found, text, forms)
        found.update(dict.fromkeys(forms, (0, 0)))
    for text in others:
        if len(text) >= _MIN_LENGTH:
            _add_coded(found, text, set(json_forms(text)))
            for form in {text, unquote(text)}:
                found.update((each, (0, 0)) for each in _written(form) if len(each) >= _MIN_LENGTH)
    return LiteralSearch(found, _BASE64)


def _written(text: str) -> set[str]:
    """The lines of a text are secrets, too, so few forms of the whole are enough."""
    return usual_forms(text) if "\n" in text else written_forms(text)


def _add_coded(found: dict[str, Span], text: str, forms: Iterable[str]) -> None:
    for form in forms:
        found.update(_in_base64(form))
    found.update(dict.fromkeys(_digits(text), (0, 0)))


def _digits(text: str) -> Iterator[str]:
    """Yields hexadecimal digits in both cases."""
    digits = text.encode("utf-8", "replace").hex()
    yield from (digits, digits.upper())


def _in_base64(text: str) -> Iterator[tuple[str, Span]]:
    """Yields base64 of any bytes that contain a text, with the characters around it that show parts of it.

    The number of bytes before it decides its alignment.
    """
    value = text.encode("utf-8", "replace")
    for offset, skip in enumerate(_BASE64_SKIP):
        core = base64.b64encode(b"\0" * offset + value).decode()[skip : (offset + len(value)) * 8 // 6]
        around = (1 if offset else 0, 1 if (offset + len(value)) % 3 else 0)
        if len(core) >= _MIN_LENGTH:
            yield from ((form, around) for form in _embedded(core))


def _embedded(core: str) -> Iterator[str]:
    yield core
    if "+" in core or "/" in core:
        yield from (core.replace("/", slash).replace("+", plus) for plus, slash in _BASE64_WRITTEN)
