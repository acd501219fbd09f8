"""Hides known secrets in texts and results before they are stored or logged."""

import base64
import json
import re
from abc import ABC, abstractmethod
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

_LONG: Final = 256
"""Texts with more characters are masked by a `LongMask`."""


class Masking(ABC):
    """Hides secrets."""

    @abstractmethod
    def text(self, text: str) -> str:
        """The text without the secrets."""

    @property
    @abstractmethod
    def knows_any(self) -> bool:
        """Whether there is a secret to hide."""

    def value(self, value: Json) -> Json:
        """The value with masked texts, keys and numbers."""
        return self._value(value) if self.knows_any else value

    def _value(self, value: Json) -> Json:
        match value:
            case str():
                return self.text(value)
            case dict():
                return {self.text(name): self._value(member) for name, member in value.items()}
            case list():
                return [self._value(item) for item in value]
            case int() | float() if not isinstance(value, bool):
                return value if self.text(str(value)) == str(value) else HIDDEN
            case _:
                return value


class Mask(Masking):
    """Replaces values of secrets by `***`, also if they are URL-encoded, in base64 or JSON-escaped."""

    def __init__(self, secrets: Iterable[Json]) -> None:
        texts = {text for secret in secrets for text in _texts(secret) if len(text) >= _MIN_LENGTH}
        patterns = {pattern for text in texts for pattern in _patterns(text)}
        longest_first = sorted(patterns, key=lambda pattern: (-len(pattern), pattern))
        self._pattern = re.compile("|".join(longest_first)) if patterns else None

    @property
    def knows_any(self) -> bool:
        """See `Masking`."""
        return self._pattern is not None

    def text(self, text: str) -> str:
        """See `Masking`."""
        return text if self._pattern is None else self._pattern.sub(HIDDEN, text)


class LongMask(Masking):
    """Replaces long texts, such as tokens, by `***`: unchanged, in base64, or encoded as a whole.

    It is made in microseconds, while a `Mask` of a token takes a tenth of a second.
    """

    def __init__(self, *texts: str) -> None:
        forms = {form for text in texts if len(text) >= _MIN_LENGTH for form in _literal_forms(text)}
        self._forms = sorted(forms, key=lambda form: (-len(form), form))

    @property
    def knows_any(self) -> bool:
        """See `Masking`."""
        return bool(self._forms)

    def text(self, text: str) -> str:
        """See `Masking`."""
        for form in self._forms:
            text = text.replace(form, HIDDEN)
        return text


_NO_SECRETS: Final = Mask(())


class TaskMask(Masking):
    """Hides what is secret in a task: secrets of the workflow, and tokens that the task has got meanwhile."""

    def __init__(self) -> None:
        self._secrets: Masking = _NO_SECRETS
        self._learned: list[Masking] = []

    @property
    def knows_any(self) -> bool:
        """See `Masking`."""
        return bool(self._learned) or self._secrets.knows_any

    def hide(self, secrets: Masking) -> None:
        """Hides the secrets of the workflow."""
        self._secrets = secrets

    def learn(self, mask: Masking) -> None:
        """Hides more, which became known while the task ran."""
        if mask.knows_any and mask not in self._learned:
            self._learned.append(mask)

    def text(self, text: str) -> str:
        """See `Masking`."""
        return self._secrets.text(self.without_learned(text))

    def without_learned(self, text: str) -> str:
        """The text, in which only what `learn` was given is hidden."""
        for mask in self._learned:
            text = mask.text(text)
        return text


current: Final[ContextVar[TaskMask | None]] = ContextVar("current mask", default=None)
"""The mask of the task that runs. A handler uses it before it shortens a text."""


def learn(mask: Masking) -> None:
    """Hides more in what the task that runs returns, and in its errors."""
    if (known := current.get()) is not None:
        known.learn(mask)


def masked(text: str, secrets: Iterable[str]) -> str:
    """The text with `***` in place of each secret, and of the secrets of the task that runs."""
    given = list(secrets)
    text = LongMask(*(secret for secret in given if len(secret) > _LONG)).text(text)
    text = Mask(secret for secret in given if len(secret) <= _LONG).text(text)
    known = current.get()
    return text if known is None else known.text(text)


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


def _literal_forms(text: str) -> Iterator[str]:
    """The encodings of a text that programs commonly make, as texts."""
    quoted = {quote(text, safe=safe) for safe in _SAFE_IN_URLS} | {quote_plus(text)}
    for form in {text, json.dumps(text)[1:-1], escape(text), *quoted}:
        yield form
        yield re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), form)
    value = text.encode("utf-8", "replace")
    for offset, skip in enumerate(_BASE64_SKIP):
        core = base64.b64encode(b"\0" * offset + value).decode()[skip : (offset + len(value)) * 8 // 6]
        if len(core) >= _MIN_LENGTH:
            yield from (core, core.replace("+", "-").replace("/", "_"))
