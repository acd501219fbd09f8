"""What monitoring gets from a process: its metrics, and whether its services are live and ready."""

import asyncio
import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from unspool.definitions.json_value import Json
from unspool.definitions.tasks.queues import QUEUES
from unspool.eventstore.errors import StoreError
from unspool.eventstore.monitoring.health import ServiceHealth
from unspool.eventstore.monitoring.metric_set import MetricSet
from unspool.eventstore.monitoring.settings import MonitoringSettings
from unspool.eventstore.monitoring.store_status import StoreStatus, StoreStatusReader
from unspool.eventstore.port import EventStore

PING_SECONDS: Final = 2.0
"""The longest time to wait for the store."""

NO_ANSWER: Final = "the store does not answer"

Lag = Callable[[StoreStatus], float]
"""Returns for how many seconds work has waited for a service."""


class _Watched(NamedTuple):
    """A service of this process."""

    health: ServiceHealth
    lag: Lag | None
    needs_keys: bool


class Monitor:
    """The monitoring of one process, on one store."""

    def __init__(
        self, store: EventStore, settings: MonitoringSettings, metrics: MetricSet | None = None
    ) -> None:
        self.metrics = metrics or MetricSet()
        self.settings = settings
        self.status = StoreStatusReader(store, QUEUES)
        self.begun = True
        """Whether the services have been started; until then the process is not ready."""
        self.configuration: Mapping[str, Json] = {}
        """The version, the store and the settings of the process, without secrets."""
        self.stopping = False
        """Whether the services stop; then the process is not ready any more."""
        self._store = store
        self._services: list[_Watched] = []
        self._outage_at = -math.inf
        """When a check last found that the store does not answer."""

    def add(self, health: ServiceHealth, lag: Lag | None = None, *, needs_keys: bool = True) -> None:
        """Adds a service.

        Args:
            health: what it tells.
            lag: what tells how far it is behind.
            needs_keys: whether it cannot do its work if a key of a payload is missing. An API can: its
                callers choose what it reads, and one payload must not take it away from all of them.
        """
        self._services.append(_Watched(health, lag, needs_keys))

    async def not_live(self) -> list[str]:
        """Why the process should be restarted, in sentences; empty if it is live.

        An unavailable store is no reason, because a restart does not help.
        """
        broken = [problem for each in self._services for problem in each.health.broken()]
        if broken or not self._stalled() or self._store.missing_keys():  # a loop waits for a key
            return broken
        if not await self._answers():
            return []
        return self._stalled()

    async def not_ready(self) -> list[str]:
        """Why the process cannot do its work now, in sentences; empty if it is ready."""
        if self.stopping:
            return ["the services stop"]
        if not self.begun:
            return ["the services have not begun"]
        if not await self._answers():
            return [NO_ANSWER]
        services = [each.health for each in self._services]
        problems = [*await self.not_live(), *self._locked_out()]
        problems += [f"{each.service}: no heartbeat" for each in services if not each.joined]
        problems += [f"{each.service}: {each.hindrance}" for each in services if each.hindrance]
        return problems + list(await self._behind())

    async def _answers(self) -> bool:
        try:
            async with asyncio.timeout(PING_SECONDS):
                await self._store.ping()
        except (StoreError, TimeoutError):
            self._outage_at = time.monotonic()
            return False
        return True

    def _locked_out(self) -> Iterator[str]:
        missing = self._store.missing_keys() if any(each.needs_keys for each in self._services) else []
        for key in missing:
            yield f"payloads are encrypted with the key {key!r}, which this process does not have"

    def _stalled(self) -> list[str]:
        return [problem for each in self._services for problem in each.health.stalled(self._outage_at)]

    async def _behind(self) -> Iterator[str]:
        most = self.settings.ready_lag_seconds
        lags = [(each.health.service, each.lag) for each in self._services if each.lag is not None]
        if not most or not lags:
            return iter(())
        status = await self.status.read()
        return (
            f"{service}: work has waited for {lag(status):.0f} s, more than {most:g}"
            for service, lag in lags
            if lag(status) > most
        )
