"""How messages and tasks are written: compact JSON arrays, opaque to Redis and its scripts."""

from typing import Final

import orjson

from unspool.eventstore.records import Message, MessageKind, TaskRequest

_KINDS: Final = {kind.value: kind for kind in MessageKind}


class Unreadable(ValueError):
    """What is stored there is no message or task of a release we know."""


def encode_message(message: Message) -> bytes:
    """A message as it lies in an inbox."""
    return orjson.dumps([message.kind, message.execution, message.body])


def decode_message(payload: bytes) -> Message:
    """The message again.

    Raises:
        Unreadable: it is none.
    """
    try:
        kind, execution, body = orjson.loads(payload)
        return Message(_KINDS[kind], execution, body)
    except (ValueError, TypeError, KeyError) as error:
        raise Unreadable(f"not a message: {error!r}") from None


def encode_timer(execution: str, timer_id: str) -> bytes:
    """The message that a timer will be when it fires; a set timer is stored as that."""
    return orjson.dumps([MessageKind.TIMER_FIRED, execution, {"timer": timer_id}])


def encode_task(task: TaskRequest) -> bytes:
    """A task as it lies in a queue."""
    return orjson.dumps([task.execution, task.run, task.task, task.queue, task.arguments, task.deadline])


def decode_task(payload: bytes) -> TaskRequest:
    """The task again.

    Raises:
        Unreadable: it is none.
    """
    try:
        execution, run, task, queue, arguments, deadline = orjson.loads(payload)
    except (ValueError, TypeError) as error:
        raise Unreadable(f"not a task: {error!r}") from None
    return TaskRequest(execution, run, task, queue, arguments, deadline)
