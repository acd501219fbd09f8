"""Hides known secrets in texts and results before they are stored or logged."""

import base64
import json
import re
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from functools import cache
from html import escape
from typing import Final
from urllib.parse import quote, quote_plus, unquote

from unspool.definitions.json_value import Json

HIDDEN: Final = "***"

_MIN_LENGTH: Final = 4
"""Shorter values are not masked: texts would be unreadable if each "1" were masked."""

_PIECE: Final = re.compile(r"\\+|[^\\]", re.DOTALL)
"""A sequence of backslashes is one piece: each encoding in JSON doubles its length."""
_BACKSLASH: Final = r"(?:\\|%5[Cc])"
"""Its repetitions are possessive and limited, so that many backslashes cost linear time."""

_BASE64_SKIP: Final = (0, 2, 3)
"""How many characters of base64 depend on the bytes before a value, by the value's offset modulo 3."""
_SAFE_IN_URLS: Final = ("", "/", "/:@!$&'()*+,;=-._~?")
"""Sets of characters that programs do not encode in URLs."""

_BASE64: Final = "[A-Za-z0-9+/_-]"


class Mask:
    """Replaces values of secrets by `***`, also if they are URL-encoded, in base64 or JSON-escaped."""

    def __init__(self, secrets: Iterable[Json]) -> None:
        texts = {text for secret in secrets for text in _texts(secret) if len(text) >= _MIN_LENGTH}
        patterns = {pattern for text in texts for pattern in _patterns(text)}
        longest_first = sorted(patterns, key=lambda pattern: (-len(pattern), pattern))
        self._pattern = re.compile("|".join(longest_first)) if patterns else None

    def text(self, text: str) -> str:
        """The text without the secrets."""
        return text if self._pattern is None else self._pattern.sub(HIDDEN, text)

    def value(self, value: Json) -> Json:
        """The value with masked texts, keys and numbers."""
        if self._pattern is None:
            return value
        match value:
            case str():
                return self.text(value)
            case dict():
                return {self.text(name): self.value(member) for name, member in value.items()}
            case list():
                return [self.value(item) for item in value]
            case int() | float() if not isinstance(value, bool):
                return value if self.text(str(value)) == str(value) else HIDDEN
            case _:
                return value


NOTHING_KNOWN: Final = Mask(())
current: Final[ContextVar[Mask]] = ContextVar("current mask", default=NOTHING_KNOWN)
"""Masks the secrets of the task that runs. A handler uses it before it shortens a text."""


def masked(text: str, secrets: Iterable[str]) -> str:
    """The text with `***` in place of each secret, and of the secrets of the task that runs."""
    return current.get().text(Mask(secrets).text(text))


def _texts(secret: Json) -> Iterator[str]:
    """The texts of a secret: the secret itself, or the strings in its members."""
    match secret:
        case str():
            yield secret
            yield secret.strip()
            yield from (line.strip() for line in secret.splitlines())
        case dict():
            yield from (text for member in secret.values() for text in _texts(member))
        case list():
            yield from (text for item in secret for text in _texts(item))
        case int() | float() if not isinstance(secret, bool):
            yield str(secret)
        case _:
            pass


def _patterns(text: str) -> Iterator[str]:
    """Regular expressions for all encodings of a secret."""
    for form in {text, unquote(text)}:
        if len(form) >= _MIN_LENGTH:
            yield "".join(map(_any_encoding, _PIECE.findall(form)))
    escaped = json.dumps(text)[1:-1]
    raw = json.dumps(text, ensure_ascii=False)[1:-1]
    encoded = {quote(text, safe=safe) for safe in _SAFE_IN_URLS} | {quote_plus(text)}
    for form in {text, escaped, raw, *encoded}:
        yield from _base64_patterns(form.encode("utf-8", "replace"))


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


def _base64_patterns(value: bytes) -> Iterator[str]:
    """Base64 of any bytes that contain the value. The number of bytes before it decides its alignment."""
    for offset, skip in enumerate(_BASE64_SKIP):
        end = (offset + len(value)) * 8 // 6
        core = base64.b64encode(b"\0" * offset + value).decode()[skip:end]
        before = f"{_BASE64}?" if offset else ""
        after = f"{_BASE64}?" if (offset + len(value)) % 3 else ""
        for form in {core, core.replace("+", "-").replace("/", "_")}:
            if len(form) >= _MIN_LENGTH:
                yield before + re.escape(form) + after
