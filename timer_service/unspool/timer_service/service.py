"""The timer service: turns due timers into messages, as soon as they are due and never before.

Any number of services may run side by side: firing is one atomic step of the store, so each timer fires
once. Between timers a service sleeps until the next one is due by the store's clock, and is woken when an
earlier one is set.
"""

import asyncio
from dataclasses import dataclass

from unspool.eventstore.port import Timers
from unspool.eventstore.retry import retry_until_available
from unspool.eventstore.settings import setting
from unspool.eventstore.waiting import done_before


@dataclass(frozen=True, slots=True)
class TimerSettings:
    """Settings of the timer service."""

    batch: int = setting("UNSPOOL_TIMER_BATCH", 100, "How many due timers are fired in one step")
    longest_sleep_seconds: float = setting(
        "UNSPOOL_TIMER_LONGEST_SLEEP", 1.0, "Seconds after which timers are looked at even if none is due"
    )


class TimerService:
    """Fires due timers until it is stopped."""

    def __init__(self, store: Timers, settings: TimerSettings) -> None:
        self._store = store
        self._settings = settings
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Fires timers until `stop` is called. A store that is away is tried again and again."""
        await done_before(self._fire_for_ever(), self._stopping.wait())

    def stop(self) -> None:
        """Ends `run`, at any point: what has been fired is fired, the rest stays set."""
        self._stopping.set()

    async def _fire_for_ever(self) -> None:
        while True:
            await retry_until_available(self._step)

    async def _step(self) -> None:
        """Fires a batch of what is due; only when nothing is does it rest."""
        fired = await self._store.fire_due_timers(self._settings.batch)
        if fired.count == 0:
            await self._rest(fired.next_due_at)

    async def _rest(self, until: int | None) -> None:
        """Sleeps until a time of the store's clock, or until an earlier timer is set."""
        seconds = self._settings.longest_sleep_seconds
        if until is not None:
            seconds = min(seconds, (until - await self._store.now()) / 1000)
        if seconds > 0:
            await self._store.wait_for_timers(seconds)
