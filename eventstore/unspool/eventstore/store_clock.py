"""The time of the store's clock, without a call to the store."""

from unspool.eventstore.clock import Clock
from unspool.eventstore.port import Timers


class StoreClock:
    """The machine's clock, corrected to the store's clock.

    Timers fire by the store's clock. With a wrong clock a service would set them too early or too late, or
    treat future deadlines as past. So it measures the difference regularly and adds it.
    """

    def __init__(self, store: Timers, machine: Clock) -> None:
        self._store = store
        self._machine = machine
        self._ahead = 0

    def now(self) -> int:
        """Milliseconds since 1970 by the store's clock, as last measured."""
        return self._machine.now() + self._ahead

    async def adjust(self) -> None:
        """Measures the difference, with an error of half a round trip at most."""
        before = self._machine.now()
        there = await self._store.now()
        self._ahead = there - (before + self._machine.now()) // 2
