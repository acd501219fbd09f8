"""Encoding of messages, tasks and outbox entries: compact JSON arrays, opaque to Redis and the scripts."""

from collections.abc import Sequence
from typing import Final

import orjson

from unspool.definitions.json_value import Json
from unspool.eventstore.records import (
    MESSAGE_KINDS,
    ExecutionKey,
    Message,
    MessageKind,
    Outgoing,
    Parent,
    PublishEvent,
    SendMessage,
    Start,
    StartExecution,
    TaskRequest,
    WorkflowRef,
)
from unspool.eventstore.tags import Tags


class Unreadable(ValueError):
    """An entry that this release cannot read."""


def encode_message(message: Message) -> bytes:
    """A message as it is stored in an inbox."""
    return orjson.dumps([message.kind, message.execution, message.body])


def decode_message(payload: bytes) -> Message:
    """Decodes a message.

    Raises:
        Unreadable: it is not a message.
    """
    try:
        kind, execution, body = orjson.loads(payload)
        return Message(MESSAGE_KINDS[kind], execution, body)
    except (ValueError, TypeError, KeyError) as error:
        raise Unreadable(f"not a message: {error!r}") from None


def encode_parent(parent: Parent | None) -> bytes:
    """The parent of an execution as its hash stores it; empty without a parent."""
    return b"" if parent is None else orjson.dumps([*parent])


def encode_tags(tags: Tags) -> bytes:
    """The tags of an execution as its hash stores them."""
    return orjson.dumps(dict(tags))


def encode_timer(execution: str, timer_id: str) -> bytes:
    """The message that a timer sends when it fires. A timer is stored in this form."""
    return orjson.dumps([MessageKind.TIMER_FIRED, execution, {"timer": timer_id}])


def encode_task(task: TaskRequest) -> bytes:
    """A task as it is stored in a queue."""
    return orjson.dumps([task.execution, task.run, task.task, task.queue, task.arguments, task.deadline])


def decode_task(payload: bytes) -> TaskRequest:
    """Decodes a task.

    Raises:
        Unreadable: it is not a task.
    """
    try:
        execution, run, task, queue, arguments, deadline = orjson.loads(payload)
    except (ValueError, TypeError) as error:
        raise Unreadable(f"not a task: {error!r}") from None
    return TaskRequest(execution, run, task, queue, arguments, deadline)


_START: Final = "start"
_SEND: Final = "send"
_PUBLISH: Final = "publish"


def encode_outgoing(outgoing: Sequence[Outgoing]) -> bytes:
    """The outgoing starts, messages and events of a commit, as they are stored in an outbox."""
    return orjson.dumps([_outgoing_values(each) for each in outgoing])


def _outgoing_values(outgoing: Outgoing) -> list[object]:
    if isinstance(outgoing, SendMessage):
        return [_SEND, *outgoing.message]
    if isinstance(outgoing, PublishEvent):
        return [_PUBLISH, outgoing.event]
    start = outgoing.start
    parent = None if start.parent is None else [*start.parent]
    values = [_START, start.key.id, [*start.workflow], start.input, start.created_at, parent]
    # Left out if there are none, so that releases without them can read all other starts.
    if start.traceparent is not None:
        values = [*values, start.idempotency_key, dict(start.tags), start.by, start.traceparent]
        return values if start.tracestate is None else [*values, start.tracestate]
    if start.tags:
        return [*values, start.idempotency_key, dict(start.tags)]
    return values if start.idempotency_key is None else [*values, start.idempotency_key]


def decode_outgoing(tenant: str, payload: bytes) -> list[Outgoing]:
    """Decodes an outbox entry of a tenant.

    Raises:
        Unreadable: it is not an outbox entry.
    """
    try:
        return [_decode_outgoing(tenant, *values) for values in orjson.loads(payload)]
    except (ValueError, TypeError, KeyError) as error:
        raise Unreadable(f"not an outbox entry: {error!r}") from None


def _decode_outgoing(tenant: str, what: str, *values: Json) -> Outgoing:
    if what == _SEND:
        kind, execution, body = values
        return SendMessage(Message(MESSAGE_KINDS[kind], execution, body))
    if what == _PUBLISH:
        [event] = values
        return PublishEvent(event)
    if what != _START:
        raise ValueError(what)
    id_, workflow, input_, created_at, parent, *rest = values
    key, of = ExecutionKey(tenant, id_), None if parent is None else Parent(*parent)
    return StartExecution(Start(key, WorkflowRef(*workflow), input_, created_at, of, *rest))
