"""Limits attempts with wrong credentials, by the address that they come from.

A key cannot be guessed. The limit protects the store from the reads that attempts cost. Callers behind one
proxy share an address, so a key that the process knows is accepted in any case.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

BURST: Final = 20
"""Failures that may follow each other at once."""

SECONDS: Final = 1.0
"""Seconds after which one more failure is allowed."""

MOST_ADDRESSES: Final = 4096


class FailureLimit:
    """The failures of each address, as a rate (generic cell rate algorithm). It belongs to one process."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._even: OrderedDict[str, float] = OrderedDict()

    def seconds_to_wait(self, address: str) -> float:
        """Returns after how many seconds an address may try again; 0 if it may try now."""
        return max(0.0, self._even.get(address, 0.0) - (BURST - 1) * SECONDS - self._monotonic())

    def count(self, address: str) -> None:
        """Counts a failure."""
        self._even[address] = max(self._even.pop(address, 0.0), self._monotonic()) + SECONDS
        if len(self._even) > MOST_ADDRESSES:
            self._even.popitem(last=False)
