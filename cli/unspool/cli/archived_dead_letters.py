"""Dead letters in archived files, as `unspool dlq show` prints them."""

import os
from datetime import datetime
from typing import Any, Final

from unspool.api.masked_records import masked_letter
from unspool.api.masked_store import mask_of_text
from unspool.api.representations import dead_letter_json
from unspool.cli.exits import CommandError
from unspool.cli.files import names_file, opened_file
from unspool.cli.options import STORED_LEVELS, milliseconds, parse_json
from unspool.definitions.json_value import Json
from unspool.eventstore.archive_lines import read_dead_letter
from unspool.eventstore.archives import SUFFIX
from unspool.eventstore.dead_letters import DeadLetter
from unspool.eventstore.encryption.payloads import payloads_of
from unspool.eventstore.errors import DamagedArchive
from unspool.eventstore.records import Message, MessageKind, TaskRequest

_OLD_SUFFIX: Final = ".json.gz"
"""Of files of earlier versions."""


def is_file_name(source: str) -> bool:
    """Whether a command's argument names an archived file, rather than a dead letter of the store."""
    return names_file(source, SUFFIX, _OLD_SUFFIX)


def read_letter(path: str) -> dict[str, Json]:
    """Reads an archived dead letter, and masks what its definition masks.

    Raises:
        CommandError: the file is damaged, or has another form.
        KeyMissing: its payloads are encrypted with a key that is missing.
    """
    document = parse_json(_content(path), path, STORED_LEVELS)
    try:
        letter = payloads_of(os.environ).opened_letter(_letter(document))
        mask = mask_of_text(document.get("definition") or "")
    except (TypeError, KeyError, AttributeError, ValueError):
        raise CommandError(f"{path}: not an archived dead letter") from None
    return dead_letter_json(masked_letter(mask, letter), whole=True)


def _content(path: str) -> bytes:
    """The document of a file."""
    try:
        with opened_file(path, regular=True) as file:
            return read_dead_letter(file)
    except DamagedArchive as damage:
        raise CommandError(f"{path}: {damage}") from None


def _letter(document: Any) -> DeadLetter:
    return DeadLetter(
        id=str(document["id"]),
        tenant=str(document["tenant"]),
        body=_body(document["kind"], dict(document["body"])),
        error=str(document["error"]),
        traceback=str(document["traceback"]),
        attempts=int(document["attempts"]),
        moved_at=milliseconds(datetime.fromisoformat(document["movedAt"])),
    )


def _body(kind: str, body: dict[str, Any]) -> Message | TaskRequest:
    if kind == "message":
        return Message(MessageKind(body.pop("kind")), **body)
    return TaskRequest(**body)
