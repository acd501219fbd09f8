"""The sinks and sources of events, as health checks and metrics show them."""

import asyncio
import logging
import math
import time
from collections.abc import Sequence
from typing import Final, NamedTuple

from unspool.definitions.json_value import Json
from unspool.eventstore.clock import rfc3339
from unspool.eventstore.errors import StoreUnavailable
from unspool.eventstore.port import EventStore
from unspool.eventstore.sinks import SinkStatus
from unspool.eventstore.sources import SourceStatus

log = logging.getLogger(__name__)

_UNSERVED_MILLISECONDS: Final = 180_000
"""Processes record every minute which sinks and sources they serve. After this time none does."""

_FRESH_SECONDS: Final = 2.0
_WAIT_SECONDS: Final = 1.0


class Transports(NamedTuple):
    """The state of all sinks and sources."""

    sinks: Sequence[SinkStatus]
    sources: Sequence[SourceStatus]
    now: int
    """The store's clock, milliseconds since 1970."""

    def json(self) -> dict[str, Json]:
        """Returns the members for the answer of a health check; none without sinks and sources."""
        shown: dict[str, Json] = {}
        if self.sinks:
            shown["sinks"] = {
                sink.name: {**self._state(sink, sink.kept_at), "lag": sink.lag} for sink in self.sinks
            }
        if self.sources:
            shown["sources"] = {source.name: self._state(source, source.seen_at) for source in self.sources}
        return shown

    def _state(self, status: SinkStatus | SourceStatus, served_at: int) -> dict[str, Json]:
        if status.failing_since is not None:
            since = rfc3339(status.failing_since)
            return {"status": "failing", "since": since, "error": status.failure}
        unserved = self.now - served_at > _UNSERVED_MILLISECONDS
        return {"status": "unserved" if unserved else "works"}


class TransportReader:
    """Reads the state of transports from the store, at most every two seconds.

    It takes two calls to the store for each tenant. Neither a health check nor metrics wait long for it.
    """

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self.last = Transports((), (), 0)
        """The last known state."""
        self._reading: asyncio.Task[None] | None = None
        self._read_at = -math.inf

    async def read(self) -> Transports:
        """Returns the state; the last known one if the store is unavailable or slow."""
        if self._reading is None and time.monotonic() - self._read_at >= _FRESH_SECONDS:
            self._reading = asyncio.create_task(self._read())
        if self._reading is not None:
            await asyncio.wait([self._reading], timeout=_WAIT_SECONDS)
        return self.last

    async def _read(self) -> None:
        try:
            sinks, sources = await self._store.sinks(), await self._store.sources()
            now = await self._store.now() if sinks or sources else 0
            self.last = Transports(sinks, sources, now)
        except StoreUnavailable as error:
            log.info("the state of transports is not known: %s", error)
        finally:
            self._read_at = time.monotonic()
            self._reading = None
