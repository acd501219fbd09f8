"""Tracebacks for logs. A message of an exception can quote data of a workflow, which a log must not have."""

import traceback
from typing import Final

from unspool.eventstore.errors import StoreError

_SAFE: Final = (StoreError, OSError)
"""Exceptions of the world outside of workflows: their messages say what an operator must repair."""


def traceback_without_messages(error: BaseException) -> str:
    """The traceback of an exception and of its causes, with types and places, but without messages.

    The dead letter or the error of the workflow has the message, if there is one: the store encrypts it, and
    views mask it.
    """
    parts: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        frames = "".join(traceback.format_tb(current.__traceback__))
        parts.append(f"Traceback (most recent call last):\n{frames}{_name(current)}")
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return "\n\ncaused the next one:\n\n".join(reversed(parts))


def _name(error: BaseException) -> str:
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return f"{name}: {error}" if isinstance(error, _SAFE) else name
