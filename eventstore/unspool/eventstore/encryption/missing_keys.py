"""Which keys a process was asked for and does not have."""

import time
from collections.abc import Callable
from typing import Final

from unspool.eventstore.errors import KeyMissing

_KNOWN_SECONDS: Final = 60.0
"""How long a missing key counts after it was last needed."""


class MissingKeys:
    """The keys that deliveries and published events needed lately."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._needed_at: dict[str, float] = {}

    def note(self, error: KeyMissing) -> None:
        """A key is missing."""
        self._needed_at[error.key] = self._monotonic()

    def ids(self) -> list[str]:
        """The ids of the missing keys."""
        since = self._monotonic() - _KNOWN_SECONDS
        self._needed_at = {id_: at for id_, at in self._needed_at.items() if at > since}
        return sorted(self._needed_at)
