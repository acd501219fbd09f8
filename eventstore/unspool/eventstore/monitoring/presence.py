"""Shows that a service is alive that gets no deliveries: a timer service, an API."""

import asyncio
from contextlib import suppress
from functools import partial
from typing import Final

from unspool.eventstore.consumers import Consumer
from unspool.eventstore.errors import StoreError
from unspool.eventstore.monitoring.health import HEARTBEAT, STALLED_SECONDS, ServiceHealth
from unspool.eventstore.port import HEARTBEAT_SECONDS, EventStore
from unspool.eventstore.retry import run_periodically
from unspool.eventstore.waiting import done_before

_DEREGISTER_SECONDS: Final = 2.0
"""How long a stopping service waits for a store that may be unavailable."""


class Presence:
    """Sends the heartbeats of a service until it is stopped."""

    def __init__(self, store: EventStore, role: str, name: str, health: ServiceHealth) -> None:
        self._store = store
        self._health = health
        self._consumer = Consumer(role, name)
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Sends heartbeats until `stop` is called."""
        beating = partial(run_periodically, HEARTBEAT_SECONDS, self._beat)
        await done_before(self._health.watch(HEARTBEAT, beating, STALLED_SECONDS), self._stopping.wait())
        with suppress(StoreError, TimeoutError):
            async with asyncio.timeout(_DEREGISTER_SECONDS):
                await self._store.deregister(self._consumer)

    def stop(self) -> None:
        """Ends `run`."""
        self._stopping.set()

    async def _beat(self) -> None:
        await self._store.heartbeat(self._consumer)
        self._health.turned(HEARTBEAT)
