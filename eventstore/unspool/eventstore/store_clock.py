"""The store's time, without asking the store each time."""

from unspool.eventstore.clock import Clock
from unspool.eventstore.port import Timers


class StoreClock:
    """The machine's clock, put right by the store's.

    Timers fire by the store's clock. A service whose own clock is ahead or behind would set them too early
    or too late, or take deadlines for past; so it measures the difference now and then and adds it.
    """

    def __init__(self, store: Timers, machine: Clock) -> None:
        self._store = store
        self._machine = machine
        self._ahead = 0

    def now(self) -> int:
        """Milliseconds since 1970 by the store's clock, as well as it is known."""
        return self._machine.now() + self._ahead

    async def adjust(self) -> None:
        """Measures the difference; it is known to within half of a round trip."""
        before = self._machine.now()
        there = await self._store.now()
        self._ahead = there - (before + self._machine.now()) // 2
