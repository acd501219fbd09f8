"""The labels by which executors find their containers again."""

from collections.abc import Mapping
from typing import Final

RUN: Final = "io.unspool.run"
"""The idempotency key of the task."""

OWNER: Final = "io.unspool.executor"
"""The executor that started it."""

AWAITED: Final = "io.unspool.awaited"
"""`true` if a task waits for its end."""

CLEANUP: Final = "io.unspool.cleanup"
"""`always`, `never` or `eventually`."""

REMOVE_AFTER: Final = "io.unspool.remove-after"
"""Milliseconds after its end when it is removed, with `eventually`."""

DEADLINE: Final = "io.unspool.deadline"
"""Milliseconds since 1970 when the task's time is over, if it has a timeout."""


def number(labels: Mapping[str, str], name: str) -> int | None:
    """Returns the number in a label; None if there is none."""
    text = labels.get(name, "")
    return int(text) if text.isdecimal() else None
