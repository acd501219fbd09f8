"""Writes the oldest events of schedules to files before they are deleted."""

import asyncio
import logging
from pathlib import Path
from typing import Final

from unspool.eventstore.archives import ArchiveFile, schedule_path
from unspool.eventstore.encryption.payloads import Payloads
from unspool.eventstore.errors import CorruptHistory, KeyMissing
from unspool.eventstore.events import Event
from unspool.eventstore.port import Histories
from unspool.eventstore.records import ExecutionKey, ExecutionRecord

log = logging.getLogger(__name__)

_PAGE: Final = 1_000


class ScheduleArchive:
    """A directory with the parts of histories that schedules no longer have."""

    def __init__(self, directory: Path, payloads: Payloads) -> None:
        """Takes the directory, and what encrypts the payloads in files, if they are encrypted."""
        self._directory = directory
        self._payloads = payloads

    async def write(self, store: Histories, key: ExecutionKey, before: int) -> bool:
        """Writes the stored events of a schedule that are before a number; replaces a file that is there.

        Returns whether they may be deleted. If they cannot be written, the log says why.
        """
        try:
            record = await store.execution(key)
            events = await self._events(store, key, before)
            if record is not None and events:
                await asyncio.to_thread(self._write, record, events)
        except (OSError, CorruptHistory, KeyMissing) as error:
            log.error(  # noqa: TRY400 - the cause is outside
                "the history of %s is not shortened, because it cannot be archived: %s", key.id, error,
                extra={"action": "schedule_not_archived", "execution": key.id},
            )  # fmt: skip
            return False
        return True

    async def _events(self, store: Histories, key: ExecutionKey, before: int) -> list[Event]:
        """The stored events before a number, as the file has them."""
        events: list[Event] = []
        while page := await store.history(key, after=events[-1].seq if events else 0, limit=_PAGE):
            events += (event for event in page if event.seq < before)
            if page[-1].seq >= before - 1:
                break
        return self._payloads.archived_events(key, events)

    def _write(self, record: ExecutionRecord, events: list[Event]) -> None:
        path = schedule_path(self._directory, record.key, events[0].seq)
        with ArchiveFile(path, record, None) as file:
            file.add(events)
            file.complete({})
