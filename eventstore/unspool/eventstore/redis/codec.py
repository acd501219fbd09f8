"""Encoding of messages and tasks: compact JSON arrays, opaque to Redis and the scripts."""

from typing import Final

import orjson

from unspool.eventstore.records import Message, MessageKind, TaskRequest

_KINDS: Final = {kind.value: kind for kind in MessageKind}


class Unreadable(ValueError):
    """An entry is not a message or task that this release can read."""


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
        return Message(_KINDS[kind], execution, body)
    except (ValueError, TypeError, KeyError) as error:
        raise Unreadable(f"not a message: {error!r}") from None


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
