"""Finds the expressions in a text, by the rules of `unspool.definitions.expressions.template`."""

from collections.abc import Iterator
from typing import Any, Final

from unspool.definitions.expressions.template import Part, is_whole, split, unclosed
from unspool.definitions.json_pointer import child

_TEXT_OR_COLLECTION: Final = (str, dict, list)


Located = tuple[str, int]
"""The source of an expression and its offset in the text."""


def bare_source(text: str) -> list[Located]:
    """Returns the expression of a field that is always one, with or without `${ }` (inventory D4)."""
    return sources(text) if is_whole(text) else [(text, 0)]


def sources(text: str) -> list[Located]:
    """Returns the expressions in a text."""
    return _located(text, split(text)) if "${" in text else []


def sources_of_command(text: str) -> list[Located]:
    """Returns the expressions in a shell command, in which `${NAME}` is for the shell (inventory D7)."""
    return _located(text, split(text, shell_parameters=True))


def _located(text: str, parts: tuple[Part, ...]) -> list[Located]:
    if len(parts) == 1 and parts[0].expression:
        return [(parts[0].source, text.index("${") + 2)]
    found: list[Located] = []
    at = 0
    for part in parts:
        if part.expression:
            found.append((part.source, at + 2))
        at += len(part.source) + (3 if part.expression else 0)
    return found


def texts(value: Any, pointer: str) -> Iterator[tuple[str, str]]:
    """Yields pointer and text of every string in a value, in any order, without keys (inventory D6)."""
    waiting = [(pointer, value)]
    while waiting:
        place, part = waiting.pop()
        if isinstance(part, str):
            yield place, part
        elif isinstance(part, dict | list):
            members = part.items() if isinstance(part, dict) else enumerate(part)
            waiting += [
                (child(place, step), member)
                for step, member in members
                if isinstance(member, _TEXT_OR_COLLECTION)
            ]


__all__ = ["Located", "bare_source", "is_whole", "sources", "sources_of_command", "texts", "unclosed"]
