"""Where expressions stand in a text; the rules are those of `unspool.definitions.expressions.template`."""

from collections.abc import Iterator
from typing import Any, Final

from unspool.definitions.expressions.template import is_whole, split
from unspool.definitions.json_pointer import child

_NOT_ATOMS: Final = (str, dict, list)


def bare_source(text: str) -> list[str]:
    """The expression of an expression-typed field, which may or may not be wrapped (inventory D4)."""
    return sources(text) if is_whole(text) else [text]


def sources(text: str) -> list[str]:
    """The expressions in a text."""
    return [part.source for part in split(text) if part.expression] if "${" in text else []


def sources_of_command(text: str) -> list[str]:
    """The expressions in a command line, in which `${NAME}` belongs to the shell (inventory D7)."""
    return [part.source for part in split(text, shell_parameters=True) if part.expression]


def texts(value: Any, pointer: str) -> Iterator[tuple[str, str]]:
    """Every text in a value with its pointer, in any order; keys are not expressions (inventory D6)."""
    waiting = [(pointer, value)]
    while waiting:
        place, part = waiting.pop()
        if isinstance(part, str):
            yield place, part
        elif isinstance(part, dict | list):
            members = part.items() if isinstance(part, dict) else enumerate(part)
            waiting += [
                (child(place, step), member) for step, member in members if isinstance(member, _NOT_ATOMS)
            ]


__all__ = ["bare_source", "is_whole", "sources", "sources_of_command", "texts"]
