"""Waiting for an execution to end, and what its end comes to."""

from collections.abc import Callable, Sequence
from typing import Final

import click

from unspool.api.representations import describe
from unspool.cli.exits import Exit, Stop
from unspool.cli.output import json_text, print_json, say
from unspool.eventstore.events import Event
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import ExecutionKey, ExecutionRecord, Status

_LOOK_SECONDS: Final = 2.0
"""How often an execution in which nothing happens is looked at more closely."""


class Stuck(Stop):
    """A message or task of the execution lies among the dead letters: it cannot go on by itself."""


async def record_of(store: EventStore, key: ExecutionKey) -> ExecutionRecord:
    """What the index knows of an execution.

    Raises:
        Stop: there is none of that id.
    """
    record = await store.execution(key)
    if record is None:
        raise Stop(f"there is no execution {key.id}" + _of_tenant(key))
    return record


def _of_tenant(key: ExecutionKey) -> str:
    return "" if key.tenant == "default" else f" of tenant {key.tenant}"


async def follow(
    store: EventStore, key: ExecutionKey, seen: Callable[[Sequence[Event]], None] | None = None
) -> None:
    """Returns once the execution has ended; `seen` is told its events as they come.

    Raises:
        Stuck: it waits for somebody to look after a dead letter.
    """
    version, looked = 0, False
    while True:
        record = await record_of(store, key)
        if seen and record.version > version:
            seen(await store.history(key, after=version, limit=record.version - version))
        if record.status.ended:
            return
        if looked and record.version == version:
            await _check_not_stuck(store, key)
        version, looked = record.version, True
        await store.wait_for_version(key, version, _LOOK_SECONDS)


async def _check_not_stuck(store: EventStore, key: ExecutionKey) -> None:
    page = await store.dead_letters(key.tenant, execution=key.id, limit=1)
    if page.items:
        [letter] = page.items
        raise Stuck(f"execution {key.id} is stuck: {letter.error} (dead letter {letter.id})", Exit.GAVE_UP)


async def conclude(store: EventStore, record: ExecutionRecord, *, one_line: bool) -> int:
    """Prints what an execution has come to; the exit code for it."""
    execution = await describe(store, record)
    match record.status:
        case Status.COMPLETED:
            print_json(execution["output"], one_line=one_line)
            return Exit.DONE
        case Status.FAULTED:
            click.echo(json_text(execution["error"]), err=True)
            return Exit.FAULTED
        case Status.CANCELLED:
            say(f"unspool: execution {record.key.id} was cancelled")
            return Exit.CANCELLED
        case _:
            say(f"unspool: execution {record.key.id} is {record.status} still")
            return Exit.GAVE_UP
