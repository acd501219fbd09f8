"""Texts as code points and as encoded bytes: `explode`, `implode`, `@base64d` and `@urid`."""

import base64
import re
from contextlib import suppress
from typing import Final
from urllib.parse import unquote_to_bytes

from unspool.definitions.expressions.errors import EvaluationError
from unspool.definitions.expressions.frame import ITEM, Frame, charge, charge_text
from unspool.definitions.expressions.json_text import to_string
from unspool.definitions.expressions.numbers import truncated
from unspool.definitions.expressions.ordering import is_number, kind
from unspool.definitions.json_value import Json

_REPLACEMENT: Final = 0xFFFD
_LARGEST: Final = 0x10FFFF
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]*", re.ASCII)
_URI: Final = re.compile(r"(?:[^%]+|%[0-9a-fA-F]{2})*", re.ASCII)


def explode(value: Json, frame: Frame) -> list[Json]:
    """Returns `explode`: the code points of a string."""
    if not isinstance(value, str):
        raise EvaluationError(f"{kind(value)} cannot be exploded")
    charge_text(frame, len(value))
    charge(frame, len(value))
    return list(map(ord, value))


def implode(value: Json, frame: Frame) -> str:
    """Returns `implode`: the string of code points; a number that is not a code point becomes U+FFFD."""
    if not isinstance(value, list):
        raise EvaluationError("implode input must be an array")
    charge(frame, ITEM * len(value))
    if not all(map(is_number, value)):
        raise EvaluationError("a code point that is imploded must be a number")
    return "".join(chr(_code_point(truncated(number))) for number in value)


def _code_point(number: int) -> int:
    valid = 0 <= number <= _LARGEST and not 0xD800 <= number <= 0xDFFF
    return number if valid else _REPLACEMENT


def from_base64(value: Json, frame: Frame) -> str:
    """Returns `@base64d`: the text up to the first `=`, decoded."""
    text = to_string(value, frame)
    charge_text(frame, 16 * len(text))
    digits = text.partition("=")[0]
    if not _BASE64.fullmatch(digits):
        raise EvaluationError(f"{kind(value)} is not valid base64 data")
    if len(digits) % 4 == 1:
        raise EvaluationError(f"{kind(value)} has a trailing base64 byte")
    return _decoded(base64.b64decode(digits + "=" * (-len(digits) % 4)), frame)


def from_uri(value: Json, frame: Frame) -> str:
    """Returns `@urid`: percent-encoded bytes, decoded."""
    text = to_string(value, frame)
    charge_text(frame, 16 * len(text))
    if _URI.fullmatch(text):
        with suppress(UnicodeDecodeError):
            return unquote_to_bytes(text).decode()
    raise EvaluationError(f"{kind(value)} is not a valid uri encoding")


def _decoded(data: bytes, frame: Frame) -> str:
    """Decodes UTF-8. Bytes that are not valid become U+FFFD, as many as jq writes."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        charge(frame, ITEM * len(data))
    pieces: list[str] = []
    at = 0
    while at < len(data):
        length = _sequence_length(data, at)
        pieces.append(_character(data[at : at + length]))
        at += length
    return "".join(pieces)


def _character(sequence: bytes) -> str:
    try:
        return sequence.decode()
    except UnicodeDecodeError:
        return chr(_REPLACEMENT)


def _sequence_length(data: bytes, at: int) -> int:
    """Returns how many bytes jq reads as one code point, valid or not."""
    first = data[at]
    if first < 0xC2 or first > 0xF4:
        return 1
    wanted = 2 if first < 0xE0 else 3 if first < 0xF0 else 4
    if at + wanted > len(data):
        return len(data) - at
    following = data[at + 1 : at + wanted]
    return next((place for place, byte in enumerate(following, 1) if byte & 0xC0 != 0x80), wanted)
