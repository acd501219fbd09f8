"""What a scalar means in YAML 1.2's core schema (section 10.3.2), as far as JSON can hold it."""

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
"""Digits that are looked at; leading zeros included, no 64 bit integer needs as many."""


class Unfit(ValueError):
    """A scalar that JSON cannot hold."""


def _plain(text: str) -> Json:
    """What a plain scalar means."""
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
        raise Unfit(f"{text} is no JSON value")
    return text


def _integer(text: str, base: int) -> int:
    number = int(text, base) if len(text) <= _LONGEST_INT else 2**64
    if not -(2**63) <= number < 2**63:
        raise Unfit("this integer does not fit 64 bits; write it in quotes to keep it as text")
    return number


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise Unfit("this number is too large; write it in quotes to keep it as text")
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
    """What a scalar means. Raises `Unfit`."""
    if "\0" in event.value:
        raise Unfit("a NUL character is not allowed in text")
    if event.implicit[0]:
        return _plain(event.value)
    if event.tag is None or event.tag in _TEXT_TAGS:
        return _encodable(event.value)
    wanted = _SCALAR_TAGS.get(event.tag)
    if wanted is None:
        raise Unfit(unknown_tag(event.tag))
    value = _plain(event.value)
    if type(value) is not wanted:
        raise Unfit(f"this is no {_short(event.tag)}")
    return value


def key_text(event: yaml.ScalarEvent) -> str:
    """The text of a key. A number or a boolean is taken as it is written.

    Raises:
        Unfit: it is null, has another tag than text, or cannot be text.
    """
    if event.implicit[0] and "\0" not in event.value:
        if _WORDS.get(event.value, event.value) is None:
            raise Unfit(f"the key {event.value[:80]!r} is not text; write it in quotes")
        return _encodable(event.value)
    value = scalar(event)
    return value if isinstance(value, str) else event.value


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Unfit("half of a surrogate pair is no character") from None
    return text


def unknown_tag(tag: str) -> str:
    """What to say of a tag that JSON has no type for."""
    return f"the tag {_short(tag)} is not allowed: values are those of JSON"


def _short(tag: str) -> str:
    return ("!!" + tag.removeprefix(_TAG) if tag.startswith(_TAG) else tag)[:80]
