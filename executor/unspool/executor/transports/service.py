"""The service that sends published events to sinks, and publishes events from streams of others."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from unspool.eventstore.consumers import SENDERS, Consumer
from unspool.eventstore.errors import StoreError
from unspool.eventstore.monitoring.health import HEARTBEAT, ServiceHealth
from unspool.eventstore.port import HEARTBEAT_SECONDS, EventStore
from unspool.eventstore.retry import retry_until_available, run_periodically
from unspool.executor.transports.settings import TransportSettings
from unspool.executor.transports.sink import Sink, Source
from unspool.executor.transports.sink_loop import SinkLoop

_KEEP_SECONDS: Final = 60.0
_GRACE_SECONDS: Final = 5.0
_DEREGISTER_SECONDS: Final = 2.0
"""How long a stopping service waits for a store that may be unavailable."""


class TransportService:
    """Serves all sinks and streams until it is stopped.

    Several processes may run it with the same sinks; one of them sends the events of a tenant to a sink.
    """

    def __init__(
        self,
        store: EventStore,
        sinks: Sequence[Sink],
        settings: TransportSettings,
        name: str,
        sources: Sequence[Source] = (),
    ) -> None:
        self.health = ServiceHealth("transports", joins=bool(sinks))
        self._store = store
        self._sources = sources
        self._consumer = Consumer(SENDERS, name)
        self._names = [sink.name for sink in sinks]
        self._loops = [
            SinkLoop(store, self._consumer, sink, settings.sink_attempts, settings.sink_longest_pause)
            for sink in sinks
        ]
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Runs until `stop`. Then it finishes calls of sinks and streams for some seconds.

        What is cut off after that is sent or published again by another process.
        """
        await retry_until_available(self._keep_once)
        async with asyncio.TaskGroup() as group:
            working = [group.create_task(loop.run(), name="transports send") for loop in self._loops]
            working += [group.create_task(each.run(), name="transports read") for each in self._sources]
            keeping = self.health.watch("keep sinks", self._keep_sinks)
            duties = [group.create_task(keeping, name="transports keep sinks")]
            if self._loops:
                beating = partial(run_periodically, HEARTBEAT_SECONDS, self._heartbeat)
                heartbeats = self.health.watch(HEARTBEAT, beating)
                duties.append(group.create_task(heartbeats, name="transports heartbeat"))
            await self._stopping.wait()
            for loop in self._loops:
                loop.stop()
            for source in self._sources:
                source.stop()
            if working:
                await asyncio.wait(working, timeout=_GRACE_SECONDS)
            for task in (*working, *duties):
                task.cancel()
        await self._shut_down()

    def stop(self) -> None:
        """Asks the service to finish."""
        self._stopping.set()

    async def _keep_sinks(self) -> None:
        """Keeps the sinks registered. Without sinks it only lets the store forget earlier ones."""
        await asyncio.sleep(_KEEP_SECONDS)
        await run_periodically(_KEEP_SECONDS, self._keep_once)

    async def _keep_once(self) -> None:
        await self._store.keep_sinks(self._names)

    async def _heartbeat(self) -> None:
        await self._store.heartbeat(self._consumer)
        self.health.turned(HEARTBEAT)

    async def _shut_down(self) -> None:
        if not self._loops:
            return
        with suppress(StoreError, TimeoutError):
            async with asyncio.timeout(_DEREGISTER_SECONDS):
                await self._store.deregister(self._consumer)
