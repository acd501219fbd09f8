"""Which keys the payloads in a store are encrypted with. It reads what it counts; no payload is decrypted."""

import re
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Final

from unspool.definitions.json_value import Json
from unspool.eventstore.dead_letters import DeadLetter
from unspool.eventstore.encryption.key_ring import KEY_ID
from unspool.eventstore.encryption.payloads import SEALED, has_payload, key_of_text
from unspool.eventstore.events import Event
from unspool.eventstore.published_events import PublishedEvent
from unspool.eventstore.records import (
    ExecutionRecord,
    Message,
    MessageKind,
    Outgoing,
    PublishEvent,
    SendMessage,
    Snapshot,
    StartExecution,
    TaskRequest,
)
from unspool.eventstore.stored_records import Content, RecordKind, StoredRecord

PLAIN: Final = ""
"""Stands for payloads that are not encrypted."""

SEALED_IN_BYTES: Final = rb'\$sealed(?:":")?:?(%b):' % KEY_ID.pattern.encode()
"""The beginning of an encrypted payload, in bytes that are not parsed; the group is the id of its key."""

_IN_BYTES: Final = re.compile(SEALED_IN_BYTES)

KeyUse = defaultdict[str, Counter[RecordKind]]
"""How many records of each kind need a key, by its id; a record may need several."""


async def key_use(pieces: AsyncIterator[Sequence[StoredRecord]]) -> KeyUse:
    """Counts records by the keys that they need.

    Args:
        pieces: of a store that was opened with `sealed`, so that payloads are not decrypted.
    """
    use: KeyUse = defaultdict(Counter)
    async for piece in pieces:
        for record in piece:
            for key in keys_of(record):
                use[key][record.kind] += 1
    return use


def keys_of(record: StoredRecord) -> set[str]:
    """The keys of a record, with `PLAIN` if all of its payloads are plain."""
    if record.kind is RecordKind.UNREADABLE and isinstance(record.content, bytes):
        return {found.decode() for found in _IN_BYTES.findall(record.content)} or {PLAIN}
    keys = {*_keys(record.content)}
    return keys - {PLAIN} or keys


def _keys(content: Content) -> Iterator[str]:
    """The key of each payload."""
    match content:
        case Event():
            return _of_value(content.data) if has_payload(content) else iter(())
        case Snapshot():
            return iter((_of_bytes(content.state),))
        case ExecutionRecord():
            return _of_execution(content)
        case Message():
            return _of_message(content)
        case TaskRequest():
            return _of_value(content.arguments)
        case DeadLetter():
            return _of_dead_letter(content)
        case bytes():
            return iter((_of_bytes(content),))
        case _:
            return _of_outgoing(content)


def _of_outgoing(outgoing: Outgoing | PublishedEvent) -> Iterator[str]:
    match outgoing:
        case StartExecution(start):
            yield from _of_value(start.input)
            yield from _of_name(start.idempotency_key)
        case SendMessage(message):
            yield from _of_message(message)
        case PublishEvent(event) | PublishedEvent(_, event, _):
            yield from _of_value(event)


def _of_execution(record: ExecutionRecord) -> Iterator[str]:
    if record.version == 0:
        yield from _of_value(record.pending_input)
    yield from _of_name(record.idempotency_key)


def _of_dead_letter(letter: DeadLetter) -> Iterator[str]:
    yield from _keys(letter.body)
    for text in filter(None, (letter.error, letter.traceback)):
        yield key_of_text(text)


def _of_message(message: Message) -> Iterator[str]:
    body = message.body
    match message.kind:
        case MessageKind.TIMER_FIRED:
            pass
        case MessageKind.START:
            yield from _of_value(body["input"])
            yield from _of_name(body.get("idempotencyKey"))
        case MessageKind.EVENT:
            yield from _of_value(body["event"])
        case _:
            yield from _of_value(body) if body else ()


def _of_name(name: str | None) -> Iterator[str]:
    if name is not None:
        yield key_of_text(name)


def _of_value(value: Json) -> Iterator[str]:
    text = value.get(SEALED) if isinstance(value, dict) else None
    yield text.partition(":")[0] if isinstance(text, str) else PLAIN


def _of_bytes(text: bytes) -> str:
    return key_of_text(text[: len(SEALED) + 70].decode(errors="replace"))
