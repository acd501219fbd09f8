"""Histories in files: one event a line, as `history --json` prints it.

The first line has one more member, `execution`: the id, the workflow, the text of its definition, and the
texts of external resources by their hashes. So a file can be replayed and verified without its store.
"""

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import orjson

from unspool.api.masked_records import masked_events
from unspool.api.masked_store import mask_of_text
from unspool.cli.exits import CommandError
from unspool.cli.options import STORED_LEVELS, milliseconds, names_file, parse_json, read_file
from unspool.definitions.json_value import Json
from unspool.eventstore.archives import SUFFIX, Archived, is_archive, read_archive
from unspool.eventstore.encryption.payloads import payloads_of
from unspool.eventstore.errors import DamagedArchive
from unspool.eventstore.event_json import event_json
from unspool.eventstore.events import Event
from unspool.eventstore.published_events import CloudEvent
from unspool.eventstore.records import DEFAULT_TENANT, ExecutionKey, ExecutionRecord, WorkflowRef
from unspool.eventstore.texts import Texts
from unspool.worker.fetched_resources import fetched_in


class History(NamedTuple):
    """An execution's events, and what is needed to interpret them again."""

    execution: str
    """The execution's id; empty if unknown."""
    workflow: str
    definition: str | None
    """The definition's text."""
    events: Sequence[Event]
    texts: Mapping[str, str] = MappingProxyType({})
    """The texts of external resources, by hash."""


async def texts_of(store: Texts, tenant: str, events: Sequence[Event]) -> dict[str, str]:
    """Returns the texts of the external resources that a history names, by hash."""
    hashes = {sha256 for _, sha256 in fetched_in(events)}
    found = {sha256: await store.text(tenant, sha256) for sha256 in sorted(hashes)}
    return {sha256: text for sha256, text in found.items() if text is not None}


def write_export(
    path: str,
    record: ExecutionRecord,
    definition: str | None,
    events: Sequence[Event],
    texts: Mapping[str, str],
) -> None:
    """Writes a history to a file, and replaces an existing one.

    Raises:
        CommandError: the file cannot be written.
    """
    lines = [event_json(event) for event in events]
    if lines:
        lines[0]["execution"] = {
            "id": record.key.id,
            "workflow": record.workflow._asdict(),
            "definition": definition,
        }
        if texts:
            lines[0]["execution"]["resources"] = dict(texts)
    try:
        Path(path).write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from None


def is_file_name(source: str) -> bool:
    """Whether a command's argument names a file with a history, rather than a stored execution."""
    return names_file(source, ".jsonl", SUFFIX)


def read_export(path: str, *, part: bool = False) -> History:
    """Reads a file that `write_export` wrote, an archived history, or a file with events only.

    Args:
        path: the file.
        part: whether the history may begin later, as the archived parts of schedules do.

    Raises:
        CommandError: the file has another form, or is damaged.
        KeyMissing: its payloads are encrypted with a key that is missing.
    """
    lines, archived_texts = _lines(path)
    parsed = [
        (f"{path}:{number}", parse_json(line, f"{path}:{number}", STORED_LEVELS))
        for number, line in enumerate(lines, 1)
        if line.strip()
    ]
    if not parsed:
        raise CommandError(f"{path}: the file has no events")
    events = [_event(value, place) for place, value in parsed]
    begin = events[0].seq if part else 1
    if [event.seq for event in events] != list(range(begin, begin + len(events))):
        raise CommandError(f"{path}: the events must be numbered 1, 2, 3 …; some are missing")
    place, first = parsed[0]
    try:
        about = first.get("execution", {})
        workflow = about.get("workflow")
        named = str(WorkflowRef(**workflow)) if workflow else ""
        texts = {str(sha256): str(text) for sha256, text in about.get("resources", {}).items()}
    except (AttributeError, KeyError, TypeError):
        raise CommandError(
            f"{place}: `execution` is not in the form that `unspool history --export` writes"
        ) from None
    texts |= archived_texts
    id_ = str(about.get("id", ""))
    key = ExecutionKey(str(about.get("tenant", DEFAULT_TENANT)), id_)
    payloads = payloads_of(os.environ)
    return History(
        id_,
        named,
        about.get("definition"),
        [payloads.opened_event(key, event) for event in events],
        {sha256: payloads.opened_resource(key.tenant, sha256, text) for sha256, text in texts.items()},
    )


def read_events(path: str) -> list[CloudEvent]:
    """Reads an archived file of published events.

    Raises:
        CommandError: the file has another form, or is damaged.
        KeyMissing: its payloads are encrypted with a key that is missing.
    """
    payloads = payloads_of(os.environ)
    lines = [
        parse_json(line, f"{path}:{number}", STORED_LEVELS)
        for number, line in enumerate(_lines(path).lines, 1)
    ]
    try:
        return [payloads.opened_published(str(line["tenant"]), dict(line["event"])) for line in lines]
    except (TypeError, KeyError):
        raise CommandError(f"{path}: not an archived file of published events") from None


def masked_history(history: History) -> History:
    """A history to be shown: values that its definition masks are masked."""
    mask = mask_of_text(history.definition or "")
    return history._replace(events=masked_events(mask, history.events))


def _lines(path: str) -> Archived:
    data = read_file(path)
    if not is_archive(data):
        return Archived(data.splitlines(), {})
    try:
        return read_archive(data)
    except DamagedArchive as damage:
        raise CommandError(f"{path}: {damage}") from None


def _event(value: Json, place: str) -> Event:
    match value:
        case {"seq": int(seq), "type": str(kind), "time": str(time), "data": dict(data)}:
            return Event(seq, kind, _time(time, place), value.get("task"), value.get("run"), data)
        case _:
            raise CommandError(f"{place}: not an event; an event has seq, type, time, task, run and data")


def _time(text: str, place: str) -> int:
    try:
        return milliseconds(datetime.fromisoformat(text))
    except ValueError:
        raise CommandError(f"{place}: {text!r} is not a time") from None
