"""Finds the expressions in a text, by the rules of `unspool.definitions.expressions.template`."""

from collections.abc import Iterator
from typing import Any, Final

from unspool.definitions.expressions.template import is_whole, split
from unspool.definitions.json_pointer import child

_TEXT_OR_COLLECTION: Final = (str, dict, list)


def bare_source(text: str) -> list[str]:
    """Returns the expression of a field that is always one, with or without `${ }` (inventory D4)."""
    return sources(text) if is_whole(text) else [text]


def sources(text: str) -> list[str]:
    """Returns the expressions in a text."""
    return [part.source for part in split(text) if part.expression] if "${" in text else []


def sources_of_command(text: str) -> list[str]:
    """Returns the expressions in a shell command, in which `${NAME}` is for the shell (inventory D7)."""
    return [part.source for part in split(text, shell_parameters=True) if part.expression]


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


__all__ = ["bare_source", "is_whole", "sources", "sources_of_command", "texts"]
