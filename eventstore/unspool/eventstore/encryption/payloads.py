"""Which parts of records are payloads, and how records look with encrypted ones.

An encrypted JSON value is an object with one member, `$sealed`; an encrypted text begins with that word. What
the store needs stays as it is: ids, kinds, statuses, times, tags, names of workflows, tasks, queues and runs.

A plain payload that looks like an encrypted one is encoded in the same form, also without encryption. Else a
caller who sends it could make every process wait for a key that does not exist.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import orjson

from unspool.definitions.json_value import Json
from unspool.eventstore.consumers import PayloadKeys
from unspool.eventstore.dead_letters import DeadLetter
from unspool.eventstore.encryption.cipher import Cipher, Place, cipher_of
from unspool.eventstore.encryption.settings import EncryptionSettings
from unspool.eventstore.events import Event
from unspool.eventstore.published_events import CloudEvent
from unspool.eventstore.records import (
    Delivery,
    ExecutionKey,
    ExecutionRecord,
    Message,
    MessageKind,
    Snapshot,
    Start,
    TaskRequest,
)
from unspool.eventstore.settings import from_environment

SEALED: Final = "$sealed"
_SEALED_TEXT: Final = f"{SEALED}:"
_SEALED_BYTES: Final = f"{SEALED}:".encode()

_CLEAR_ATTRIBUTES: Final = frozenset({"specversion", "id", "source", "type", "time"})
"""The attributes of published events that stay as they are. The stores compare `source` and `id`."""


_PARTLY_CLEAR: Final = frozenset({MessageKind.START, MessageKind.EVENT})
"""The kinds of messages of which only one or two members are encrypted."""


_CLEAR_MEMBERS: Final = frozenset({"parent", "timer", "purpose", "dueAt"})
"""Members of events that hold an id, a time or a word of ours. The store has them in other places too."""


def payloads_of(environment: Mapping[str, str]) -> "Payloads":
    """Encrypts and decrypts as a store does that is opened with these settings.

    Raises:
        BadSetting: a setting is not valid, or the library is not installed.
    """
    return Payloads(cipher_of(from_environment(EncryptionSettings, environment)))


def is_sealed(value: Json) -> bool:
    """Whether a JSON value is an encrypted one."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get(SEALED), str)


def key_of_text(text: str) -> str:
    """The id of the key of an encrypted text; empty for a plain one."""
    return text[len(_SEALED_TEXT) :].partition(":")[0] if text.startswith(_SEALED_TEXT) else ""


def has_payload(event: Event) -> bool:
    """Whether an event of a history has more than ids and times."""
    return not event.data.keys() <= _CLEAR_MEMBERS


def any_message_sealed(deliveries: Sequence[Delivery[Message]]) -> bool:
    """Whether one of the messages may be encrypted."""
    bodies = [delivery.body for delivery in deliveries]
    return any([SEALED in body or kind in _PARTLY_CLEAR for kind, _, body in bodies])  # noqa: C419 - half the cost


def any_task_sealed(deliveries: Sequence[Delivery[TaskRequest]]) -> bool:
    """Whether one of the tasks is encrypted."""
    return any([SEALED in delivery.body.arguments for delivery in deliveries])  # noqa: C419 - half the cost


def is_sealed_text(text: bytes) -> bool:
    """Whether a text, in UTF-8, is an encrypted one."""
    return text.startswith(_SEALED_BYTES)


class Payloads:
    """Encrypts and decrypts the payloads of records.

    Each method that decrypts accepts plain payloads, raises `KeyMissing` if the key is missing, and
    `DamagedPayload` if the payload was changed or moved.
    """

    def __init__(self, cipher: Cipher) -> None:
        self._cipher = cipher
        self.encrypts: Final = cipher.encrypts
        """Whether payloads are encrypted."""

    @property
    def keys(self) -> PayloadKeys:
        """The ids of the keys."""
        return self._cipher.keys

    def seal(self, value: Json, place: Place) -> dict[str, Json]:
        """A JSON value, encrypted."""
        return {SEALED: self._cipher.encrypt(orjson.dumps(value), place)}

    def opened(self, value: Json, place: Place) -> Json:
        """A JSON value, decrypted."""
        if not is_sealed(value):
            return value
        plain: Json = orjson.loads(self._cipher.decrypt(value[SEALED], place))
        return plain

    def seal_text(self, text: str, place: Place) -> str:
        """A text, encrypted."""
        return _SEALED_TEXT + self._cipher.encrypt(text.encode(), place)

    def opened_text(self, text: str, place: Place) -> str:
        """A text, decrypted."""
        if not text.startswith(_SEALED_TEXT):
            return text
        return self._cipher.decrypt(text[len(_SEALED_TEXT) :], place).decode()

    def seal_event(self, key: ExecutionKey, event: Event) -> Event:
        """An event of a history. One that has only ids and times stays as it is."""
        if not has_payload(event):
            return event
        return event._replace(data=self.seal(event.data, _event(key, event)))

    def archived_events(self, key: ExecutionKey, events: list[Event]) -> list[Event]:
        """Events of a history as an archived file has them: plain if payloads are not encrypted."""
        return [self.seal_event(key, event) for event in events] if self.encrypts else events

    def opened_event(self, key: ExecutionKey, event: Event) -> Event:
        """An event of a history, decrypted."""
        if SEALED not in event.data:
            return event
        return event._replace(data=self.opened(event.data, _event(key, event)))

    def must_seal_start(self, start: Start) -> bool:
        """Whether a start cannot be stored as it is."""
        return self.encrypts or _looks_sealed(start.input, start.idempotency_key)

    def must_seal_task(self, task: TaskRequest) -> bool:
        """Whether work for an executor cannot be stored as it is."""
        return self.encrypts or SEALED in task.arguments

    def seal_start(self, start: Start) -> Start:
        """A request to start an execution."""
        name = start.idempotency_key
        return replace(
            start,
            input=self.seal(start.input, _input(start.key)),
            idempotency_key=None if name is None else self.seal_text(name, _key(start.key)),
        )

    def opened_record(self, record: ExecutionRecord) -> ExecutionRecord:
        """The record of an execution, decrypted."""
        name = record.idempotency_key
        if name is not None and name.startswith(_SEALED_TEXT):
            record = replace(record, idempotency_key=self.opened_text(name, _key(record.key)))
        if is_sealed(record.pending_input):
            record = replace(record, pending_input=self.opened(record.pending_input, _input(record.key)))
        return record

    def seal_message(self, tenant: str, message: Message) -> Message:
        """A message of an inbox. Of starts and events, the store needs most members."""
        kind, execution, body = message
        key = ExecutionKey(tenant, execution)
        if not body or kind is MessageKind.TIMER_FIRED:
            return message
        if kind is MessageKind.START:
            sealed = body | {"input": self.seal(body["input"], _input(key))}
            if "idempotencyKey" in body:
                sealed["idempotencyKey"] = self.seal_text(body["idempotencyKey"], _key(key))
            return message._replace(body=sealed)
        if kind is MessageKind.EVENT:
            return message._replace(body=body | {"event": self.seal_published(tenant, body["event"])})
        return message._replace(body=self.seal(body, _message(key, kind)))

    def opened_message(self, tenant: str, message: Message) -> Message:
        """A message of an inbox, decrypted."""
        kind, execution, body = message
        key = ExecutionKey(tenant, execution)
        if kind is MessageKind.START:
            if is_sealed(body["input"]):
                body = body | {"input": self.opened(body["input"], _input(key))}
            if str(body.get("idempotencyKey", "")).startswith(_SEALED_TEXT):
                body = body | {"idempotencyKey": self.opened_text(body["idempotencyKey"], _key(key))}
        elif kind is MessageKind.EVENT:
            if SEALED in body["event"]:
                body = body | {"event": self.opened_published(tenant, body["event"])}
        elif SEALED in body:
            body = self.opened(body, _message(key, kind))
        return message if body is message.body else message._replace(body=body)

    def seal_task(self, tenant: str, task: TaskRequest) -> TaskRequest:
        """Work for an executor."""
        return task._replace(arguments=self.seal(task.arguments, _task(tenant, task)))

    def opened_task(self, tenant: str, task: TaskRequest) -> TaskRequest:
        """Work for an executor, decrypted."""
        if SEALED not in task.arguments:
            return task
        return task._replace(arguments=self.opened(task.arguments, _task(tenant, task)))

    def seal_published(self, tenant: str, event: CloudEvent) -> CloudEvent:
        """A published event: everything but a few attributes."""
        clear = {name: value for name, value in event.items() if name in _CLEAR_ATTRIBUTES}
        rest = {name: value for name, value in event.items() if name not in _CLEAR_ATTRIBUTES}
        return clear | self.seal(rest, _published(tenant, event)) if rest else event

    def opened_published(self, tenant: str, event: CloudEvent) -> CloudEvent:
        """A published event, decrypted."""
        text = event.get(SEALED)
        if not isinstance(text, str):
            return event
        clear = {name: value for name, value in event.items() if name != SEALED}
        rest: CloudEvent = orjson.loads(self._cipher.decrypt(text, _published(tenant, event)))
        return clear | rest

    def seal_snapshot(self, key: ExecutionKey, snapshot: Snapshot) -> Snapshot:
        """A snapshot."""
        text = self._cipher.encrypt(snapshot.state, Place("snapshot", *key, snapshot.version))
        return Snapshot(snapshot.version, _SEALED_BYTES + text.encode())

    def opened_snapshot(self, key: ExecutionKey, snapshot: Snapshot) -> Snapshot:
        """A snapshot, decrypted."""
        if not snapshot.state.startswith(_SEALED_BYTES):
            return snapshot
        text = snapshot.state[len(_SEALED_BYTES) :].decode()
        state = self._cipher.decrypt(text, Place("snapshot", *key, snapshot.version))
        return Snapshot(snapshot.version, state)

    def sealed_resource(self, tenant: str, sha256: str, text: str) -> str:
        """The text of an external resource, which has a hash, encrypted if it must be."""
        return self.seal_text(text, _resource(tenant, sha256)) if self._must_seal_text(text) else text

    def opened_resource(self, tenant: str, sha256: str, text: str) -> str:
        """The text of an external resource, decrypted."""
        return self.opened_text(text, _resource(tenant, sha256))

    def sealed_failure(self, key: ExecutionKey, text: str) -> str:
        """An error or a traceback of a dead letter, encrypted if it must be."""
        return self.seal_text(text, Place("dead letter", *key)) if self._must_seal_text(text) else text

    def opened_letter(self, letter: DeadLetter) -> DeadLetter:
        """A dead letter, decrypted."""
        place = Place("dead letter", letter.tenant, letter.body.execution)
        return replace(
            letter,
            body=self.opened_body(letter.tenant, letter.body),
            error=self.opened_text(letter.error, place),
            traceback=self.opened_text(letter.traceback, place),
        )

    def sealed_body(self, tenant: str, body: Message | TaskRequest) -> Message | TaskRequest:
        """The body of a delivery, encrypted if it must be."""
        if not self._must_seal_body(body):
            return body
        return self.seal_message(tenant, body) if isinstance(body, Message) else self.seal_task(tenant, body)

    def opened_body(self, tenant: str, body: Message | TaskRequest) -> Message | TaskRequest:
        """The body of a delivery, decrypted."""
        if isinstance(body, Message):
            return self.opened_message(tenant, body)
        return self.opened_task(tenant, body)

    def _must_seal_text(self, text: str) -> bool:
        return self.encrypts or text.startswith(_SEALED_TEXT)

    def _must_seal_body(self, body: Message | TaskRequest) -> bool:
        if isinstance(body, TaskRequest):
            return self.must_seal_task(body)
        start = body.kind is MessageKind.START
        return self.encrypts or (start and _looks_sealed(body.body["input"], body.body.get("idempotencyKey")))


PLAIN_PAYLOADS: Final = Payloads(cipher_of(EncryptionSettings()))
"""Encrypts nothing, and has no key."""


def _looks_sealed(value: Json, name: str | None) -> bool:
    return is_sealed(value) or (name is not None and name.startswith(_SEALED_TEXT))


def _event(key: ExecutionKey, event: Event) -> Place:
    return Place("event", key.tenant, key.id, event.seq)


def _input(key: ExecutionKey) -> Place:
    return Place("input", key.tenant, key.id)


def _key(key: ExecutionKey) -> Place:
    return Place("idempotency key", key.tenant, key.id)


def _message(key: ExecutionKey, kind: MessageKind) -> Place:
    return Place("message", key.tenant, key.id, kind.value)


def _task(tenant: str, task: TaskRequest) -> Place:
    return Place("task", tenant, task.execution, task.run)


def _resource(tenant: str, sha256: str) -> Place:
    return Place("text", tenant, "the external resources", sha256)


def _published(tenant: str, event: CloudEvent) -> Place:
    identity = orjson.dumps([event.get("source"), event.get("id")]).decode()
    return Place("event", tenant, "the event bus", identity)
