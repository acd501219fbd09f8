"""JSON from outside that means the same to everybody who reads it later.

Refused: `NaN` and `Infinity`, lone surrogates and invalid UTF-8 (the decoder does), integers beyond 64 bits
(they would turn into floats silently) and deep nesting (no encoder takes it later on).
"""

import json
import re
from typing import Final

import orjson

from unspool.definitions.json_value import Json
from unspool.definitions.nesting import is_deeper

MAX_DEPTH: Final = 100
"""Levels of nesting of data that come from outside."""

_SMALLEST, _LARGEST = -(1 << 63), (1 << 63) - 1
_MANY_DIGITS: Final = re.compile(rb"\d{19}")


class BadJson(ValueError):
    """A text that is no JSON, or none that can be taken; says why, to follow the name of where it is from."""


def parse(text: bytes, levels: int = MAX_DEPTH) -> Json:
    """A JSON text as a value.

    Args:
        text: in UTF-8.
        levels: how deep it may be nested.

    Raises:
        BadJson: it is refused.
    """
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadJson(f"is not JSON: {error.msg} (line {error.lineno}, column {error.colno})") from None
    if too_deep(text, value, levels):
        raise BadJson(f"is nested deeper than {levels} levels")
    if _MANY_DIGITS.search(text):
        json.loads(text, parse_int=_check_integer)
    return value


def too_deep(text: bytes, value: Json, levels: int = MAX_DEPTH) -> bool:
    """Whether what a JSON text gave is nested too deep; most texts have too few brackets for that."""
    return text.count(b"[") + text.count(b"{") > levels and is_deeper(value, levels)


def _check_integer(digits: str) -> None:
    if len(digits) > 20 or not _SMALLEST <= int(digits) <= _LARGEST:
        raise BadJson(f"holds the integer {digits[:40]}, which does not fit 64 bits; write it as a string")
