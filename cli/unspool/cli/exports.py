"""Histories in files: one event a line, as `history --json` prints it.

The first line has one more member, `execution`: the id, the workflow, the text of its definition, and the
texts of external resources by their hashes. So a file can be replayed and verified without its store.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import orjson

from unspool.api.masked_records import masked_events
from unspool.api.masked_store import mask_of_text
from unspool.cli.exits import CommandError
from unspool.cli.files import names_file, opened_file
from unspool.cli.options import STORED_LEVELS, milliseconds, parse_json
from unspool.definitions.json_value import Json
from unspool.eventstore.archive_lines import Lines, lines_of
from unspool.eventstore.archives import SUFFIX
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


class _About(NamedTuple):
    """What the first line of a file says of the execution."""

    key: ExecutionKey
    workflow: str
    definition: str | None
    texts: dict[str, str]


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
    about, events = None, list[Event]()
    with _opened(path) as lines:
        for place, value in _values(path, lines):
            event = _event(value, place)
            about = about or _about(value, place)
            if event.seq != (events[-1].seq + 1 if events else event.seq if part else 1):
                raise CommandError(f"{path}: the events must be numbered 1, 2, 3 …; some are missing")
            events.append(event)
    if about is None:
        raise CommandError(f"{path}: the file has no events")
    payloads, texts = payloads_of(os.environ), about.texts | lines.texts
    return History(
        about.key.id,
        about.workflow,
        about.definition,
        [payloads.opened_event(about.key, event) for event in events],
        {sha256: payloads.opened_resource(about.key.tenant, sha256, text) for sha256, text in texts.items()},
    )


def read_events(path: str) -> list[CloudEvent]:
    """Reads an archived file of published events.

    Raises:
        CommandError: the file has another form, or is damaged.
        KeyMissing: its payloads are encrypted with a key that is missing.
    """
    payloads = payloads_of(os.environ)
    try:
        with _opened(path, regular=True) as lines:
            return [
                payloads.opened_published(str(value["tenant"]), dict(value["event"]))
                for _, value in _values(path, lines)
            ]
    except (TypeError, KeyError, ValueError):
        raise CommandError(f"{path}: not an archived file of published events") from None


def masked_history(history: History) -> History:
    """A history to be shown: values that its definition masks are masked."""
    mask = mask_of_text(history.definition or "")
    return history._replace(events=masked_events(mask, history.events))


@contextmanager
def _opened(path: str, *, regular: bool = False) -> Iterator[Lines]:
    """Opens a file whose lines are read in the block.

    Raises:
        CommandError: it cannot be read, or is damaged.
    """
    try:
        with opened_file(path, regular=regular) as file:
            yield lines_of(file)
    except DamagedArchive as damage:
        raise CommandError(f"{path}: {damage}") from None


def _values(path: str, lines: Lines) -> Iterator[tuple[str, Json]]:
    """Yields the place and the value of each line that is not blank."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            place = f"{path}:{number}"
            yield place, parse_json(line, place, STORED_LEVELS)


def _about(first: Json, place: str) -> _About:
    """Reads the member `execution` of the first line.

    Raises:
        CommandError: it has another form.
    """
    with suppress(AttributeError, KeyError, TypeError):
        about = first.get("execution", {})
        workflow, definition = about.get("workflow"), about.get("definition")
        if _are_texts(definition):
            return _About(
                ExecutionKey(str(about.get("tenant", DEFAULT_TENANT)), str(about.get("id", ""))),
                str(WorkflowRef(**workflow)) if workflow else "",
                definition,
                {str(sha256): str(text) for sha256, text in about.get("resources", {}).items()},
            )
    raise CommandError(f"{place}: `execution` is not in the form that `unspool history --export` writes")


def _event(value: Json, place: str) -> Event:
    match value:
        case {"seq": int(seq), "type": str(kind), "time": str(time), "data": dict(data)} if _are_texts(
            value.get("task"), value.get("run")
        ):
            return Event(seq, kind, _time(time, place), value.get("task"), value.get("run"), data)
        case _:
            raise CommandError(f"{place}: not an event; an event has seq, type, time, task, run and data")


def _are_texts(*values: Json) -> bool:
    """Whether each value is a text, or none is given."""
    return all(isinstance(value, str | None) for value in values)


def _time(text: str, place: str) -> int:
    try:
        return milliseconds(datetime.fromisoformat(text))
    except ValueError:
        raise CommandError(f"{place}: {text!r} is not a time") from None
