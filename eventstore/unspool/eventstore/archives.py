"""Archived histories: files with the history of one execution each, kept after it is deleted from the store.

A file is JSON Lines in gzip, one event a line. The first line has one more member, `execution`: what the
index knew of it, and the text of its definition. The last line has only the member `end`: the number of
events, the texts of external resources by their hashes, and the SHA-256 of the bytes of all lines before it.

Files are at `TENANT/YYYY-MM-DD/ID.HHMMSSmmm.jsonl.gz`, with the day and time (UTC) of the execution's end.
The oldest events of a schedule are in files of the same form. So are published events, which have a line
each with `position`, `publishedAt` and `event`. A dead letter has a file of its own, with one line before
the last one. `unspool.eventstore.archive_lines` reads the files.
"""

import gzip
import hashlib
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final, Self

import orjson

from unspool.definitions.json_value import Json
from unspool.eventstore.built_in import workflow_of_schedule
from unspool.eventstore.clock import rfc3339
from unspool.eventstore.dead_letters import DeadLetter
from unspool.eventstore.event_json import event_json
from unspool.eventstore.events import Event
from unspool.eventstore.published_events import PublishedEvent
from unspool.eventstore.records import ExecutionKey, ExecutionRecord

FORMAT: Final = 1
SUFFIX: Final = ".jsonl.gz"


def archive_path(directory: Path, record: ExecutionRecord) -> Path:
    """The file of an execution."""
    ended = record.created_at if record.ended_at is None else record.ended_at
    time = datetime.fromtimestamp(ended / 1000, UTC)
    moment = f"{time:%H%M%S}{ended % 1000:03d}"
    return directory / record.key.tenant / f"{time:%Y-%m-%d}" / f"{record.key.id}.{moment}{SUFFIX}"


class ArchiveFile:
    """A file that is being written. It gets its name when it is complete, so no reader sees a part of it.

    All methods block and may raise `OSError`.
    """

    def __init__(self, path: Path, record: ExecutionRecord, definition: str | None) -> None:
        """Creates the directories and the file, readable only by their owner."""
        self._path = path
        self._about: dict[str, Json] | None = _about(record, definition)
        self._hash = hashlib.sha256()
        self._events = 0
        _make_directories(path.parent)
        self._part = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
        self._file: BinaryIO = os.fdopen(
            os.open(self._part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb"
        )
        self._gzip = gzip.GzipFile(filename="", mode="wb", fileobj=self._file, mtime=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Deletes the file, unless it is complete."""
        for file in (self._gzip, self._file):
            with suppress(OSError):  # closing writes, and writing may be what has failed
                file.close()
        self._part.unlink(missing_ok=True)

    def add(self, events: Sequence[Event]) -> None:
        """Writes the next events."""
        lines = [event_json(event) for event in events]
        if lines and self._about is not None:
            lines[0]["execution"], self._about = self._about, None
        data = b"".join(orjson.dumps(line) + b"\n" for line in lines)
        self._hash.update(data)
        self._gzip.write(data)
        self._events += len(lines)

    def complete(self, texts: Mapping[str, str]) -> None:
        """Writes the end, and gives the file its name. It survives a power failure then."""
        self._gzip.write(_end(self._events, texts, self._hash.hexdigest()))
        self._gzip.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._part.replace(self._path)
        _sync_directory(self._path.parent)


def schedule_path(directory: Path, key: ExecutionKey, first: int) -> Path:
    """The file of a schedule's events from a number on: `TENANT/schedules/NAMESPACE.NAME/NUMBER.jsonl.gz`."""
    return directory / key.tenant / "schedules" / workflow_of_schedule(key) / f"{first:012d}{SUFFIX}"


def events_path(directory: Path, tenant: str, position: str, time: int) -> Path:
    """The file of published events: `TENANT/events/YYYY-MM-DD/POSITION.jsonl.gz`, with the first position."""
    day = datetime.fromtimestamp(time / 1000, UTC)
    return directory / tenant / "events" / f"{day:%Y-%m-%d}" / f"{position}{SUFFIX}"


def write_events(path: Path, tenant: str, events: Sequence[PublishedEvent]) -> int:
    """Writes published events, readable only by their owner; replaces a file that is there.

    It has its name when it is complete and survives a power failure. Blocks and may raise `OSError`. Returns
    the size of the events in bytes.
    """
    return _write_lines(path, [_published_line(tenant, each) for each in events])


def _published_line(tenant: str, published: PublishedEvent) -> dict[str, Json]:
    return {
        "tenant": tenant,
        "position": published.position,
        "publishedAt": rfc3339(published.published_at),
        "event": published.event,
    }


def dead_letter_path(directory: Path, letter: DeadLetter) -> Path:
    """The file of a dead letter: `TENANT/dead-letters/YYYY-MM-DD/ID.jsonl.gz`, with the day it failed."""
    day = datetime.fromtimestamp(letter.moved_at / 1000, UTC)
    name = letter.id.replace(":", "_")
    return directory / letter.tenant / "dead-letters" / f"{day:%Y-%m-%d}" / f"{name}{SUFFIX}"


def write_dead_letter(path: Path, document: dict[str, Json]) -> None:
    """Writes the JSON document of a dead letter, as `write_events` writes events."""
    _write_lines(path, [{"archive": FORMAT, **document}])


def _write_lines(path: Path, lines: Sequence[dict[str, Json]]) -> int:
    """Writes lines and their end. Returns the size of the lines in bytes."""
    body = b"".join(orjson.dumps(line) + b"\n" for line in lines)
    _write_whole(path, body + _end(len(lines), {}, hashlib.sha256(body).hexdigest()))
    return len(body)


def _end(events: int, texts: Mapping[str, str], sha256: str) -> bytes:
    """The last line of a file."""
    return orjson.dumps({"end": {"events": events, "resources": dict(texts), "sha256": sha256}}) + b"\n"


def _write_whole(path: Path, content: bytes) -> None:
    _make_directories(path.parent)
    part = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    try:
        with os.fdopen(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(gzip.compress(content, mtime=0))
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    _sync_directory(path.parent)


def _about(record: ExecutionRecord, definition: str | None) -> dict[str, Json]:
    return {
        "archive": FORMAT,
        "id": record.key.id,
        "tenant": record.key.tenant,
        "workflow": record.workflow._asdict(),
        "status": record.status.value,
        "createdAt": rfc3339(record.created_at),
        "startedAt": None if record.started_at is None else rfc3339(record.started_at),
        "endedAt": None if record.ended_at is None else rfc3339(record.ended_at),
        "parent": None if record.parent is None else record.parent._asdict(),
        "definition": definition,
    }


def _make_directories(path: Path) -> None:
    """Creates a directory and those above it, so that they survive a power failure."""
    if path.is_dir():
        return
    _make_directories(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
