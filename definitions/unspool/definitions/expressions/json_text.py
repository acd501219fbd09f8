"""Values as text: `tojson`, `tostring` and interpolation.

jq remembers how a number was written in the data; here a number is its value. The two agree from 1e-4 up
to 2^53 and, of integers, everywhere; below and above, numbers are written the way jq writes a computed one
(`1e-05`, `1e+17`).
"""

from json.encoder import JSONEncoder, encode_basestring
from typing import Final

from unspool.definitions.expressions.frame import ITEM, Frame, charge, charge_text
from unspool.definitions.expressions.numbers import EXACT
from unspool.definitions.json_value import Json

_WORDS: Final = {None: "null", True: "true", False: "false"}
_ENCODER: Final = JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_PLAIN_UP_TO: Final = 15
"""Zeros that may follow the digits before a number is written with an exponent."""


def to_text(number: float) -> str:
    """Returns a number that is not an int as text."""
    if number.is_integer() and abs(number) < EXACT:
        return "-0" if not number and str(number)[0] == "-" else repr(number)
    mantissa, _, exponent = repr(number).partition("e")
    sign = "-" if mantissa[0] == "-" else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    return sign + _placed(digits.rstrip("0"), point)


def _placed(digits: str, point: int) -> str:
    if point <= -4 or point > len(digits) + _PLAIN_UP_TO:
        fraction = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{digits[0]}{fraction}e{point - 1:+03d}"
    if point <= 0:
        return "0." + "0" * -point + digits
    if point >= len(digits):
        return digits + "0" * (point - len(digits))
    return f"{digits[:point]}.{digits[point:]}"


def to_json(value: Json, frame: Frame) -> str:
    """Returns a value as compact JSON, with members in their order (`tojson`)."""
    pieces: list[str] = []
    _write(value, pieces, frame)
    charge_text(frame, sum(map(len, pieces)))
    return "".join(pieces)


def start_of_json(value: Json, characters: int, frame: Frame) -> str:
    """Returns `tojson`, cut after this many characters of an array or an object."""
    if not isinstance(value, (list, dict)):
        return to_json(value, frame)
    charge_text(frame, characters)
    pieces: list[str] = []
    for piece in _ENCODER.iterencode(value):
        pieces.append(piece)
        characters -= len(piece)
        if characters < 0:
            break
    return "".join(pieces)


def to_string(value: Json, frame: Frame) -> str:
    """Returns a string as it is, anything else as JSON (`tostring`)."""
    return value if type(value) is str else to_json(value, frame)


def _write(value: Json, pieces: list[str], frame: Frame) -> None:
    charge(frame, ITEM)
    if isinstance(value, str):
        pieces.append(_quoted(value, frame))
    elif value is None or value is True or value is False:
        pieces.append(_WORDS[value])
    elif isinstance(value, int):
        pieces.append(str(value))
    elif isinstance(value, float):
        pieces.append(to_text(value))
    elif isinstance(value, list):
        _write_array(value, pieces, frame)
    else:
        _write_object(value, pieces, frame)


def _write_array(value: list[Json], pieces: list[str], frame: Frame) -> None:
    separator = "["
    for item in value:
        pieces.append(separator)
        _write(item, pieces, frame)
        separator = ","
    pieces.append("]" if value else "[]")


def _write_object(value: dict[str, Json], pieces: list[str], frame: Frame) -> None:
    separator = "{"
    for key, item in value.items():
        pieces += (separator, _quoted(key, frame), ":")
        _write(item, pieces, frame)
        separator = ","
    pieces.append("}" if value else "{}")


def _quoted(text: str, frame: Frame) -> str:
    charge_text(frame, len(text))
    return encode_basestring(text).replace("\x7f", "\\u007f")
