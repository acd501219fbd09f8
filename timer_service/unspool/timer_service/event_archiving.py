"""Writes published events to files before their bus deletes them.

The archive is a sink of each bus (`EventSinks`): the bus keeps the events that the archive has not passed. So
neither commits nor the matching of events do anything for it.
"""

import logging
import os
from secrets import token_hex
from typing import Final, Protocol

from unspool.eventstore.consumers import SENDERS, Consumer
from unspool.eventstore.errors import KeyMissing
from unspool.eventstore.published_events import EventBatch
from unspool.eventstore.sinks import EventSinks, SinkProgress
from unspool.timer_service.archiving import Archive

log = logging.getLogger(__name__)

SINK: Final = "archive"
"""The name of the archive among the sinks."""

_PIECE: Final = 1_000
"""Events that one file has, at most."""

_PIECE_BYTES: Final = 8 << 20
"""Size of the events of one file, about: it has fewer if the last ones were large."""


class EventReader(EventSinks, Protocol):
    """The parts of a store that are used here."""

    async def now(self) -> int:
        """The store's clock, milliseconds since 1970."""

    async def deregister(self, consumer: Consumer) -> None:
        """Removes a consumer; its events are available to others at once."""


class EventArchive:
    """The archive as a reader of all buses."""

    def __init__(self, store: EventReader, archive: Archive) -> None:
        """Takes the store and the directory."""
        self._store = store
        self._archive = archive
        self._consumer = Consumer(SENDERS, f"archive-{os.getpid()}-{token_hex(4)}")
        self._limit = _PIECE

    async def keep(self) -> None:
        """Lets the buses keep the events that are not in files yet, also while no file can be written."""
        await self._store.keep_sinks([SINK])

    async def write_all(self) -> int:
        """Writes the events that are not in files yet; returns how many.

        Raises:
            ArchiveUnavailable: a file cannot be written. Its events stay on the bus.
        """
        written = 0
        try:
            while batch := await self._store.receive_for_sink(self._consumer, SINK, self._limit, 0):
                await self._write(batch)
                written += len(batch.events)
        except KeyMissing as error:
            log.error(  # noqa: TRY400 - the cause is a setting
                "events are not archived: %s", error, extra={"action": "events_not_archived"}
            )
        finally:
            await self._store.deregister(self._consumer)
        return written

    async def _write(self, batch: EventBatch) -> None:
        size = await self._archive.write_events(batch, await self._store.now())
        self._limit = max(1, min(_PIECE, _PIECE_BYTES * len(batch.events) // max(1, size)))
        last = batch.events[-1].position
        progress = SinkProgress(batch.tenant, batch.after, last, sent=len(batch.events))
        await self._store.record_progress(self._consumer, SINK, progress)
