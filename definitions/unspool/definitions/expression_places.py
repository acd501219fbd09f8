"""Where in a task an expression is written, for errors that name it."""

from collections.abc import Collection, Iterator
from typing import Final

from unspool.definitions.expressions import ExpressionError
from unspool.definitions.expressions.template import split
from unspool.definitions.json_pointer import child
from unspool.definitions.json_value import Json

LONGEST_TEXT: Final = 80
"""Characters of an expression that an error shows."""

_MOST_PLACES: Final = 3
_DEEPEST: Final = 100


def described(error: ExpressionError, task: str, definition: Json, tasks: Collection[str]) -> str:
    """Returns the text of an error with the places of the expression that failed, and its source.

    The same expression may stand at several places of a task. Then the text has the first three of them.

    Args:
        error: the error.
        task: pointer of the task whose expression failed; empty for the workflow.
        definition: the definition of the task.
        tasks: pointers of all tasks; the tasks inside this one are not searched.
    """
    if error.source is None:
        return str(error)
    found = sorted(_places(error.source, task, definition, tasks), key=lambda place: place.count("/"))
    places = " or ".join(found[:_MOST_PLACES])
    return f"{error} ({places + ': ' if places else ''}{shortened(error.source)})"


def shortened(source: str) -> str:
    """Returns an expression in `${ }`, on one line of limited length."""
    text = " ".join(source.split())
    return f"${{ {text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 3] + '...'} }}"


def _places(source: str, task: str, definition: Json, tasks: Collection[str]) -> Iterator[str]:
    """Pointers of the texts with this expression, without those in other tasks and in `use`."""
    waiting = [(task, definition, 0)]
    while waiting:
        pointer, value, depth = waiting.pop()
        if isinstance(value, str):
            if _has(value, source):
                yield pointer
        elif depth < _DEEPEST and (pointer == task or pointer not in tasks):
            waiting += [(child(pointer, step), each, depth + 1) for step, each in _members(value)]


def _has(text: str, source: str) -> bool:
    return text.strip() == source or any(
        part.expression and part.source.strip() == source for part in split(text)
    )


def _members(value: Json) -> Iterator[tuple[str | int, Json]]:
    if isinstance(value, dict):
        yield from ((name, member) for name, member in value.items() if name != "use")
    elif isinstance(value, list):
        yield from enumerate(value)
