"""Strict parsing of untrusted JSON, so that every later reader gets the same value.

Refused are `NaN` and `Infinity`, lone surrogates and invalid UTF-8 (by the decoder), integers of more than
64 bits (they would silently become floats) and deep nesting (encoders would refuse it later).
"""

import json
import re
from typing import Final

import orjson

from unspool.definitions.json_value import Json
from unspool.definitions.nesting import is_deeper

MAX_DEPTH: Final = 100
"""Allowed nesting of untrusted data."""

_SMALLEST, _LARGEST = -(1 << 63), (1 << 63) - 1
_MANY_DIGITS: Final = re.compile(rb"\d{19}")


class BadJson(ValueError):
    """A text is not acceptable JSON. The message begins with a verb: the caller puts a subject before it."""


def parse(text: bytes, levels: int = MAX_DEPTH) -> Json:
    """Parses a JSON text.

    Args:
        text: in UTF-8.
        levels: allowed nesting.

    Raises:
        BadJson: the text is refused.
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
    """Whether the value of a JSON text is nested deeper than `levels`."""
    return text.count(b"[") + text.count(b"{") > levels and is_deeper(value, levels)


def _check_integer(digits: str) -> None:
    if len(digits) > 20 or not _SMALLEST <= int(digits) <= _LARGEST:
        raise BadJson(f"holds the integer {digits[:40]}, which does not fit 64 bits; write it as a string")
