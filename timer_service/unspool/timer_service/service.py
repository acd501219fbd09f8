"""The timer service: turns timers into messages as soon as they are due, and never before.

Several services may run at the same time: firing is one atomic step of the store, so each timer fires once.
A service sleeps until the next timer is due by the store's clock, and wakes when an earlier one is set.
"""

import asyncio
from dataclasses import dataclass

from unspool.eventstore.monitoring.health import STALLED_SECONDS, ServiceHealth
from unspool.eventstore.port import Timers
from unspool.eventstore.retry import retry_until_available
from unspool.eventstore.settings import setting
from unspool.eventstore.waiting import done_before
from unspool.timer_service.metrics import TimerMetrics


@dataclass(frozen=True, slots=True)
class TimerSettings:
    """Settings of the timer service."""

    batch: int = setting("UNSPOOL_TIMER_BATCH", 100, "How many due timers one step fires")
    longest_sleep_seconds: float = setting(
        "UNSPOOL_TIMER_LONGEST_SLEEP",
        1.0,
        "Seconds after which the service checks for due timers in any case",
    )


class TimerService:
    """Fires due timers until it is stopped."""

    def __init__(
        self,
        store: Timers,
        settings: TimerSettings,
        metrics: TimerMetrics | None = None,
        health: ServiceHealth | None = None,
    ) -> None:
        self._store = store
        self._metrics = metrics or TimerMetrics()
        self._health = health or ServiceHealth("timer")
        self._settings = settings
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Fires timers until `stop` is called. It retries while the store is unavailable."""
        firing = self._health.watch("fire", self._fire_forever)
        await done_before(firing, self._stopping.wait())

    def stop(self) -> None:
        """Ends `run`. It is safe at any time: fired timers stay fired, the others stay set."""
        self._stopping.set()

    async def _fire_forever(self) -> None:
        while True:
            await retry_until_available(self._step)

    async def _step(self) -> None:
        """Fires a batch of due timers; sleeps if none is due."""
        fired = await self._store.fire_due_timers(self._settings.batch)
        self._metrics.fired(fired)
        self._health.turned("fire", STALLED_SECONDS + self._settings.longest_sleep_seconds)
        if fired.count == 0:
            await self._sleep(fired.next_due_at)

    async def _sleep(self, until: int | None) -> None:
        """Sleeps until a time of the store's clock in milliseconds, or until an earlier timer is set."""
        seconds = self._settings.longest_sleep_seconds
        if until is not None:
            seconds = min(seconds, (until - await self._store.now()) / 1000)
        if seconds > 0:
            await self._store.wait_for_timers(seconds)
