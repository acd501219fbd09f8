"""Reads the challenges of a response with status 401 (RFC 9110, 11.6.1). Pure."""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

_NAME: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_SCHEME: Final = re.compile(rf"({_NAME})(?=[ \t]|,|$)(?![ \t]*=[^=])")
_PARAMETER: Final = re.compile(rf'({_NAME})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*+)"|([^\s,"]*))')
_ESCAPED: Final = re.compile(r"\\(.)")
_MOST_CHARACTERS: Final = 16 * 1024
_MOST_CHALLENGES: Final = 20
"""In one value; further ones are left out."""


class Challenge(NamedTuple):
    """What a server asks for."""

    scheme: str
    """In lower case."""
    parameters: dict[str, str]
    """By name in lower case."""


def challenges_of(values: Iterable[str]) -> list[Challenge]:
    """The challenges in the values of `WWW-Authenticate` headers, in order.

    A text that is no challenge is left out, with all that follows it in its value.
    """
    return [challenge for value in values for challenge in _challenges(value[:_MOST_CHARACTERS])]


def _challenges(value: str) -> list[Challenge]:
    found: list[Challenge] = []
    position = 0
    while True:
        position = _after_separators(value, position)
        if position == len(value) or len(found) > _MOST_CHALLENGES:
            return found[:_MOST_CHALLENGES]
        parameter = _PARAMETER.match(value, position)
        if parameter is not None and found:
            name, quoted, plain = parameter.groups()
            text = plain if quoted is None else _ESCAPED.sub(r"\1", quoted)
            found[-1].parameters.setdefault(name.lower(), text)
            position = parameter.end()
            continue
        scheme = _SCHEME.match(value, position)
        if scheme is None:
            return found
        found.append(Challenge(scheme[1].lower(), {}))
        position = scheme.end()


def _after_separators(value: str, position: int) -> int:
    while position < len(value) and value[position] in " \t,":
        position += 1
    return position
