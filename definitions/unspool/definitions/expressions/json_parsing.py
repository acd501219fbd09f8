"""`fromjson`: JSON text to values, as lenient as jq.

jq accepts numbers such as `+1`, `01`, `.5` and `5.`. It replaces the second half of a surrogate pair if it
is alone, and refuses the first half. An integer of more than 64 bits and numbers that are not finite are
errors here.
"""

import json
import re
from typing import Final, NoReturn

from unspool.definitions.expressions.errors import EvaluationError
from unspool.definitions.expressions.frame import Frame, charge, charge_text
from unspool.definitions.expressions.numbers import LARGEST, SMALLEST, from_text, shown
from unspool.definitions.expressions.ordering import kind
from unspool.definitions.json_value import Json

_NUMBER: Final = re.compile(r"([+-]?)(?:([0-9]+)(?:\.([0-9]*))?|\.([0-9]+))([eE][+-]?[0-9]+)?", re.ASCII)
_STRING_OR_WORD: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|([^\s\[\]{},:"]+)', re.DOTALL)
_HEX: Final = "[0-9a-fA-F]{2}"
_ESCAPE: Final = re.compile(
    rf"\\(?:u(?:[dD][89abAB]{_HEX}\\u[dD][c-fC-F]{_HEX}|([dD][89abAB])|([dD][c-fC-F]{_HEX}))|.)", re.DOTALL
)


def from_json(value: Json, frame: Frame) -> Json:
    """Returns `fromjson`."""
    if not isinstance(value, str):
        raise EvaluationError(f"{kind(value)}: only strings can be parsed")
    charge_text(frame, len(value))
    charge(frame, len(value))
    text = _without_half_pairs(value.removeprefix("\ufeff"))
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError:
        charge(frame, len(value))
    try:
        return _DECODER.decode(_STRING_OR_WORD.sub(_as_in_json, text))
    except json.JSONDecodeError as error:
        raise EvaluationError(f"the text is not JSON at line {error.lineno}, column {error.colno}") from None


def _without_half_pairs(text: str) -> str:
    if "\\ud" not in text and "\\uD" not in text:
        return text
    return _ESCAPE.sub(_whole_pair, text)


def _whole_pair(escape: re.Match[str]) -> str:
    if escape[1]:
        raise EvaluationError("the text holds half of a surrogate pair")
    return "\\ufffd" if escape[2] else escape[0]


def _as_in_json(word: re.Match[str]) -> str:
    """Returns a number as JSON writes it; anything else as it is."""
    number = _NUMBER.fullmatch(word[1] or "")
    if number is None:
        return word[0]
    sign, whole, fraction, only_fraction, exponent = number.groups(default="")
    digits = (fraction or only_fraction).rstrip("0")
    point = f".{digits}" if digits else ""
    return f"{sign.replace('+', '')}{whole.lstrip('0') or '0'}{point}{exponent}"


def exact_integer(digits: str) -> int | float:
    """Returns an integer of up to 64 bits, exactly. Raises `EvaluationError` if it has more."""
    if len(digits) <= 20 and SMALLEST <= (whole := int(digits)) <= LARGEST:
        return whole if whole or digits[0] != "-" else -0.0
    raise EvaluationError(f"the integer {shown(digits)} has more than 64 bits; pass it as a string")


def _not_finite(_: str) -> NoReturn:
    raise EvaluationError("the text holds a number that is not finite")


_DECODER: Final = json.JSONDecoder(parse_int=exact_integer, parse_float=from_text, parse_constant=_not_finite)
