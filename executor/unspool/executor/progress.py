"""The progress that handlers report: the newest value of each task is sent to its execution."""

from dataclasses import dataclass
from typing import Final

import orjson

from unspool.definitions.json_value import Json

MAX_BYTES: Final = 4096
"""Most bytes of a reported value, as JSON. Each sent value is an event in the history."""

INTERVAL_SECONDS: Final = 5.0
"""Least time between two sent values of a task."""


@dataclass(slots=True)
class Progress:
    """What one task has reported."""

    value: Json = None
    sent: Json = None
    """The value that the execution has."""
    due_at: float = 0.0
    """When the next value may be sent, by the clock of the event loop."""

    def report(self, value: Json) -> None:
        """Replaces the value.

        Raises:
            ValueError: the value is larger than `MAX_BYTES`.
            TypeError: it is not JSON.
        """
        size = len(orjson.dumps(value))
        if size > MAX_BYTES:
            raise ValueError(f"a progress of {size} bytes as JSON is larger than {MAX_BYTES}")
        self.value = value

    def is_due(self, now: float) -> bool:
        """Whether a value that the execution does not have may be sent."""
        return self.value != self.sent and now >= self.due_at

    def sending(self, now: float) -> Json:
        """The value, which counts as sent."""
        self.sent, self.due_at = self.value, now + INTERVAL_SECONDS
        return self.sent
