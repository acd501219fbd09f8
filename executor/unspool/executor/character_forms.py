"""Patterns that find a secret although each of its characters may be encoded in another way."""

import json
import re
from collections.abc import Iterator
from functools import cache
from html.entities import codepoint2name
from typing import Final
from urllib.parse import unquote

_MOST: Final = (3, 96, 160)
"""Characters that encodings make at most of a letter or digit, of others of ASCII, and of all others."""

_MIN_LENGTH: Final = 4
"""Shorter texts, such as what is left of `%41bc`, are not looked for."""

_PIECE: Final = re.compile(r"\\+|[^\\]", re.DOTALL)
"""A sequence of backslashes is one piece: each encoding in JSON doubles its length."""
_BACKSLASH: Final = r"(?:\\|%5[Cc])"
"""Its repetitions are possessive and limited, so that many backslashes cost linear time."""
_ESCAPE: Final = rf"{_BACKSLASH}{{1,8}}+"

_NAMES: Final = codepoint2name | {ord("'"): "apos"}
_QUOTED: Final = {"'": (r"'\\{1,8}+''", "'\"'\"'", "''"), '"': ('""',), " ": (r"\+",)}
"""What shells, SQL, YAML, CSV and forms make of a character."""


def patterns_of(text: str) -> Iterator[str]:
    """Yields regular expressions for all encodings of a secret but base64 and hexadecimal digits."""
    for form in {text, unquote(text)}:
        if len(form) >= _MIN_LENGTH:
            yield "".join(map(_any_encoding, _PIECE.findall(form)))


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
    encoded = character.encode("utf-8", "replace")
    if character.isascii() and character.isalnum():
        return f"(?:{character}|{_in_url(encoded)})"
    in_url = _in_url(encoded).replace("%", "%(?:25){0,2}")  # also if it is encoded again, or twice
    forms = (re.escape(character), in_url, *_escaped(character, encoded), *_in_html(character))
    return f"(?:{_BACKSLASH}{{0,8}}+(?:{'|'.join(dict.fromkeys((*forms, *_QUOTED.get(character, ()))))}))"


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
