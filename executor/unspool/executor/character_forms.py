"""Patterns that find a secret although each of its characters may be encoded in another way."""

import json
import re
from collections.abc import Iterator
from functools import cache
from html.entities import codepoint2name
from typing import Final
from urllib.parse import unquote

_MOST: Final = (3, 240, 160)
"""Characters that encodings make at most of a letter or digit, of others of ASCII, and of all others."""

_MIN_LENGTH: Final = 4
"""Shorter texts, such as what is left of `%41bc`, are not looked for."""

_PIECE: Final = re.compile(r"[\\'\"]+|[^\\'\"]", re.DOTALL)
"""A sequence of backslashes and quotes is one piece: other languages have more of them."""
_EACH_QUOTE: Final = re.compile(r"\\+|['\"]")
_BACKSLASH: Final = r"(?:\\|%5[Cc])"
"""Its repetitions are possessive and limited, so that many backslashes cost linear time."""
_ESCAPE: Final = rf"{_BACKSLASH}{{1,8}}+"

_NAMES: Final = codepoint2name | {ord("'"): "apos"}
_MOST_QUOTES: Final = 16
"""Quotes and backslashes that languages make of a quote, such as `'"'"'` in a shell, also in JSON."""


def patterns_of(text: str) -> Iterator[str]:
    """Yields regular expressions for all encodings of a secret but base64 and hexadecimal digits."""
    for form in {text, unquote(text)}:
        if len(form) >= _MIN_LENGTH:
            yield "".join(_patterns(_PIECE.findall(form)))


def _patterns(pieces: list[str]) -> Iterator[str]:
    for place, piece in enumerate(pieces):
        quotes = len(piece.replace("\\", "")) if piece[0] in "\\'\"" else 0
        if not quotes:
            yield _any_encoding(piece)
        elif 0 < place < len(pieces) - 1:
            yield _any_quotes(quotes)
        else:  # quotes after a secret are not its own
            yield from map(_any_encoding, _EACH_QUOTE.findall(piece))


def _any_quotes(count: int) -> str:
    """Matches quotes of both kinds and backslashes, also more of them.

    If each quote had its own alternatives, or gave back what it matched, a search could take for ever.
    """
    forms = (_BACKSLASH, *_forms("'"), *_forms('"'))
    return f"(?:{'|'.join(dict.fromkeys(forms))}){{{count},{32 + count * _MOST_QUOTES}}}+"


def longest(text: str) -> int:
    """How many characters such an encoding of a secret has at most."""
    plain = sum(each.isascii() for each in text)
    digits = sum(each.isascii() and each.isalnum() for each in text)
    counts = (digits, plain - digits, len(text) - plain)
    return sum(most * count for most, count in zip(_MOST, counts, strict=True))


@cache
def _any_encoding(character: str) -> str:
    """Matches a character unchanged or as URLs, JSON, HTML and others encode it, also with several encodings.

    Each character has its own alternatives, because programs encode different characters.
    """
    if character.startswith("\\"):
        return f"{_BACKSLASH}{{1,32}}+"
    if character.isascii() and character.isalnum():
        return f"(?:{character}|{_in_url(character.encode())})"
    return f"(?:{_BACKSLASH}{{0,8}}+(?:{'|'.join(dict.fromkeys(_forms(character)))}))"


def _forms(character: str) -> Iterator[str]:
    encoded = character.encode("utf-8", "replace")
    yield re.escape(character)
    yield _in_url(encoded).replace("%", "%(?:25){0,2}")  # also if it is encoded again, or twice
    yield from _escaped(character, encoded)
    yield from _in_html(character)
    if character == " ":
        yield re.escape("+")


def _in_url(encoded: bytes) -> str:
    return "".join(f"%{_hex(byte, 2)}" for byte in encoded)


def _escaped(character: str, encoded: bytes) -> Iterator[str]:
    """Yields what follows a backslash: `n`, `u00fc`, halves of a pair, `U0001f600`, or bytes."""
    short = json.dumps(character)[2:-1]
    if len(short) == 1:
        yield re.escape(short)
    units = character.encode("utf-16-be", "surrogatepass")
    halves = (int.from_bytes(units[at : at + 2], "big") for at in range(0, len(units), 2))
    yield _ESCAPE.join(f"u{_hex(half, 4)}" for half in halves)
    yield _ESCAPE.join(f"x{_hex(byte, 2)}" for byte in encoded)
    if not character.isascii():
        code = ord(character)
        yield _ESCAPE.join(f"{byte:03o}" for byte in encoded)
        yield f"x{_hex(code, 2)}" if code < 256 else f"U{_hex(code, 8)}"


def _in_html(character: str) -> Iterator[str]:
    code = ord(character)
    names = [f"#0?{code}", f"#[xX]0?{_hex(code, 1)}"]
    if code in _NAMES:
        names.append(_NAMES[code])
    yield f"&(?:amp;){{0,2}}(?:{'|'.join(names)});"


def _hex(number: int, digits: int) -> str:
    """Matches hexadecimal digits in both cases."""
    return "".join(
        f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in f"{number:0{digits}x}"
    )
