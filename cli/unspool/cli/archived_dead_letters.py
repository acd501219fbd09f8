"""Dead letters in archived files, as `unspool dlq show` prints them."""

import gzip
import os
import zlib
from datetime import datetime
from typing import Any

from unspool.api.masked_records import masked_letter
from unspool.api.masked_store import mask_of_text
from unspool.api.representations import dead_letter_json
from unspool.cli.exits import CommandError
from unspool.cli.options import STORED_LEVELS, milliseconds, names_file, parse_json, read_file
from unspool.definitions.json_value import Json
from unspool.eventstore.archives import DOCUMENT_SUFFIX
from unspool.eventstore.dead_letters import DeadLetter
from unspool.eventstore.encryption.payloads import payloads_of
from unspool.eventstore.records import Message, MessageKind, TaskRequest


def is_file_name(source: str) -> bool:
    """Whether a command's argument names an archived file, rather than a dead letter of the store."""
    return names_file(source, DOCUMENT_SUFFIX)


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
    """The document of a file. Its checksum is the one of gzip."""
    try:
        return gzip.decompress(read_file(path))
    except (OSError, EOFError, zlib.error) as error:
        raise CommandError(f"{path}: the compressed data is damaged: {error}") from None


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
