"""The values of scalars in the core schema of YAML 1.2 (section 10.3.2) that JSON can hold."""

import math
import re
from typing import Final

import yaml

from unspool.definitions.json_value import Json

_FIRST_OF_NON_TEXT: Final = frozenset("~nNtTfF+-.0123456789")
_WORDS: Final[dict[str, Json]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INT: Final = re.compile(r"[-+]?[0-9]+")
_RADIX: Final = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_LONGEST_INT: Final = 64
"""Characters of an integer, leading zeros included. Longer ones are not converted, because that is slow."""


class InvalidScalar(ValueError):
    """JSON cannot hold the scalar."""


def _plain(text: str) -> Json:
    """Returns the value of a plain scalar."""
    if text and text[0] not in _FIRST_OF_NON_TEXT:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return _integer(text, 10)
    if _RADIX.fullmatch(text):
        return _integer(text, 0)
    if _FLOAT.fullmatch(text):
        return _float(text)
    if _NOT_FINITE.fullmatch(text):
        raise InvalidScalar(f"{text} is not a JSON value")
    return text


def _integer(text: str, base: int) -> int:
    number = int(text, base) if len(text) <= _LONGEST_INT else 2**64
    if not -(2**63) <= number < 2**63:
        raise InvalidScalar("this integer does not fit 64 bits; write it in quotes to keep it as text")
    return number


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise InvalidScalar("this number is too large; write it in quotes to keep it as text")
    return number


_TAG: Final = "tag:yaml.org,2002:"
_TEXT_TAGS: Final = ("!", _TAG + "str")
_SCALAR_TAGS: Final[dict[str, type]] = {
    _TAG + "null": type(None),
    _TAG + "bool": bool,
    _TAG + "int": int,
    _TAG + "float": float,
}
COLLECTION_TAGS: Final = (None, "!", _TAG + "map", _TAG + "seq")


def scalar(event: yaml.ScalarEvent) -> Json:
    """Returns the value of a scalar. Raises `InvalidScalar`."""
    if "\0" in event.value:
        raise InvalidScalar("a NUL character is not allowed in text")
    if event.implicit[0]:
        return _plain(event.value)
    if event.tag is None or event.tag in _TEXT_TAGS:
        return _encodable(event.value)
    wanted = _SCALAR_TAGS.get(event.tag)
    if wanted is None:
        raise InvalidScalar(unknown_tag(event.tag))
    value = _plain(event.value)
    if type(value) is not wanted:
        raise InvalidScalar(f"this is not a value of {_short(event.tag)}")
    return value


def key_text(event: yaml.ScalarEvent) -> str:
    """Returns the text of a key. A number or a boolean is its text as it is written.

    Raises:
        InvalidScalar: it is null, has another tag than text, or cannot be text.
    """
    if event.implicit[0] and "\0" not in event.value:
        if _WORDS.get(event.value, event.value) is None:
            raise InvalidScalar(f"the key {event.value[:80]!r} is not text; write it in quotes")
        return _encodable(event.value)
    value = scalar(event)
    return value if isinstance(value, str) else event.value


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidScalar("half of a surrogate pair is not a character") from None
    return text


def unknown_tag(tag: str) -> str:
    """Returns the message about a tag that has no type in JSON."""
    return f"the tag {_short(tag)} is not allowed: values are those of JSON"


def _short(tag: str) -> str:
    return ("!!" + tag.removeprefix(_TAG) if tag.startswith(_TAG) else tag)[:80]
