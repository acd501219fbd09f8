"""Writes histories of executions, dead letters and published events to files before they are deleted."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Final, Protocol, TypeVar, TypeVarTuple

from unspool.definitions.json_value import Json
from unspool.definitions.resource_kind import FOR_HANDLERS, kind_of
from unspool.eventstore import port
from unspool.eventstore.archives import (
    ArchiveFile,
    archive_path,
    dead_letter_path,
    events_path,
    write_dead_letter,
    write_events,
)
from unspool.eventstore.clock import rfc3339
from unspool.eventstore.dead_letters import DeadLetter
from unspool.eventstore.encryption.payloads import Payloads
from unspool.eventstore.errors import CorruptHistory, KeyMissing
from unspool.eventstore.events import Event
from unspool.eventstore.published_events import EventBatch
from unspool.eventstore.records import ExecutionKey, ExecutionRecord, Message
from unspool.eventstore.texts import Texts

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")

_PAGE: Final = 1_000
"""Events that are in memory at once."""


class ArchiveUnavailable(Exception):
    """The directory of archived histories cannot be written."""


class NotArchived(Exception):
    """The history of an execution cannot be written to a file, because it cannot be read."""


class _Store(port.Definitions, port.Histories, Texts, Protocol):
    """The parts of a store that are used here."""


class Archive:
    """A directory of archived histories."""

    def __init__(self, store: _Store, directory: Path, payloads: Payloads) -> None:
        """Takes the store, the directory, and what encrypts the payloads in files, if they are encrypted."""
        self._store = store
        self._directory = directory
        self._payloads = payloads

    async def check(self) -> None:
        """Raises `ArchiveUnavailable` if the directory cannot be written."""
        await check_directory(self._directory)

    async def write(self, record: ExecutionRecord) -> None:
        """Writes the history of an execution that has ended; replaces a file that is there.

        Raises:
            ArchiveUnavailable: the file cannot be written.
            NotArchived: the history is damaged, or the key for it is missing.
        """
        path = archive_path(self._directory, record)
        file = await self._blocking(ArchiveFile, path, record, await self._definition_of(record))
        try:
            await self._fill(file, record)
        except (CorruptHistory, KeyMissing, TypeError) as error:  # TypeError: of orjson, for what is not JSON
            raise NotArchived(str(error)) from error
        finally:
            await asyncio.to_thread(file.__exit__)

    async def write_dead_letter(self, letter: DeadLetter) -> None:
        """Writes a dead letter; replaces a file that is there.

        Raises:
            ArchiveUnavailable: the file cannot be written.
        """
        key = ExecutionKey(letter.tenant, letter.body.execution)
        record = await self._store.execution(key)
        document: dict[str, Json] = {
            "id": letter.id,
            "tenant": letter.tenant,
            "execution": letter.body.execution,
            "kind": "message" if isinstance(letter.body, Message) else "task",
            "body": self._payloads.sealed_body(letter.tenant, letter.body)._asdict(),
            "error": self._payloads.sealed_failure(key, letter.error),
            "traceback": self._payloads.sealed_failure(key, letter.traceback),
            "attempts": letter.attempts,
            "movedAt": rfc3339(letter.moved_at),
            "definition": None if record is None else await self._definition_of(record),
        }
        await self._blocking(write_dead_letter, dead_letter_path(self._directory, letter), document)

    async def write_events(self, batch: EventBatch, now: int) -> int:
        """Writes published events; replaces a file that is there. Returns their size in bytes.

        Raises:
            ArchiveUnavailable: the file cannot be written.
        """
        events = batch.events
        if self._payloads.encrypts:
            seal = self._payloads.seal_published
            events = tuple(each._replace(event=seal(batch.tenant, each.event)) for each in events)
        path = events_path(self._directory, batch.tenant, events[0].position, now)
        return await self._blocking(write_events, path, batch.tenant, events)

    async def _definition_of(self, record: ExecutionRecord) -> str | None:
        """The text of the definition, which tells what views mask."""
        definition = await self._store.definition(record.key.tenant, *record.workflow)
        return None if definition is None else definition.text

    async def _fill(self, file: ArchiveFile, record: ExecutionRecord) -> None:
        hashes: set[str] = set()
        last = 0
        async for events in self._pages(record):
            if events[0].seq != last + 1:
                raise CorruptHistory(f"the history has no event {last + 1}")
            last = events[-1].seq
            hashes.update(_texts_named(events))
            await self._blocking(file.add, self._payloads.archived_events(record.key, events))
        if last != record.version:
            raise CorruptHistory(f"the history ends at event {last}, and should end at {record.version}")
        texts = {sha256: await self._store.text(record.key.tenant, sha256) for sha256 in sorted(hashes)}
        found = {sha256: text for sha256, text in texts.items() if text is not None}
        sealed = self._payloads.sealed_resource
        found = {sha256: sealed(record.key.tenant, sha256, text) for sha256, text in found.items()}
        await self._blocking(file.complete, found)

    async def _pages(self, record: ExecutionRecord) -> AsyncIterator[list[Event]]:
        after = 0
        while events := await self._store.history(record.key, after=after, limit=_PAGE):
            yield events
            after = events[-1].seq

    async def _blocking(self, do: Callable[[*Arguments], Result], *arguments: *Arguments) -> Result:
        """Makes a call that uses the disk, on a thread."""
        return await _on_disk(self._directory, do, *arguments)


async def check_directory(directory: Path) -> None:
    """Raises `ArchiveUnavailable` if a directory cannot be written."""
    await _on_disk(directory, _check, directory)


async def _on_disk(directory: Path, do: Callable[[*Arguments], Result], *arguments: *Arguments) -> Result:
    try:
        return await asyncio.to_thread(do, *arguments)
    except OSError as error:
        cause = error.strerror or str(error)
        raise ArchiveUnavailable(f"{error.filename or directory}: {cause}") from error


def _texts_named(events: Iterable[Event]) -> set[str]:
    """The hashes of the texts that a replay of these events needs."""
    return {
        event.data["sha256"]
        for event in events
        if event.type in {"resource.fetched", "resource.faulted"}
        and "sha256" in event.data
        and kind_of(event.data["resource"]) not in FOR_HANDLERS
    }


def _check(directory: Path) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=directory) as file:  # also on a disk that is full, or only to be read
        file.write(b"x")
