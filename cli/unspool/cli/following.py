"""Waits for an execution to end and prints its outcome."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import click

from unspool.api.representations import describe
from unspool.cli.exits import CommandError, Exit
from unspool.cli.output import json_text, print_json, say
from unspool.cli.targets.port import JsonObject, Target
from unspool.definitions.json_value import Json
from unspool.eventstore.dead_letters import DeadLetter
from unspool.eventstore.events import Event
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import ExecutionKey, ExecutionRecord, Status

_STUCK_CHECK_SECONDS: Final = 2.0
"""After this time without an event, look for dead letters of the execution."""


class Stuck(CommandError):
    """The execution has a dead letter, so it cannot continue by itself."""


async def record_of(store: EventStore, key: ExecutionKey) -> ExecutionRecord:
    """Reads an execution's record.

    Raises:
        CommandError: there is no execution with that id.
    """
    record = await store.execution(key)
    if record is None:
        raise CommandError(f"there is no execution {key.id}" + _of_tenant(key))
    return record


def _of_tenant(key: ExecutionKey) -> str:
    return "" if key.tenant == "default" else f" of tenant {key.tenant}"


async def follow(
    store: EventStore, key: ExecutionKey, seen: Callable[[Sequence[Event]], None] | None = None
) -> None:
    """Waits until the execution has ended. Calls `seen` with its events as they are committed.

    Raises:
        Stuck: the execution has a dead letter and makes no progress.
    """
    version, waited = 0, False
    while True:
        record = await record_of(store, key)
        if seen and record.version > version:
            seen(await store.history(key, after=version, limit=record.version - version))
        if record.status.ended:
            return
        if waited and record.version == version:
            await _check_not_stuck(store, key)
        version, waited = record.version, True
        await store.wait_for_version(key, version, _STUCK_CHECK_SECONDS)


async def dead_letter_of(store: EventStore, key: ExecutionKey) -> DeadLetter | None:
    """Returns the oldest dead letter of an execution; None if it has none."""
    page = await store.dead_letters(key.tenant, execution=key.id, limit=1)
    return next(iter(page.items), None)


async def _check_not_stuck(store: EventStore, key: ExecutionKey) -> None:
    letter = await dead_letter_of(store, key)
    if letter is not None:
        raise Stuck(f"execution {key.id} is stuck: {letter.error} (dead letter {letter.id})", Exit.GAVE_UP)


async def until_ended(target: Target, id_: str) -> JsonObject:
    """Waits until an execution has ended, and returns it.

    Raises:
        Stuck: the execution has a dead letter and makes no progress.
    """
    seen: int | None = None
    while not Status((execution := await target.execution(id_, wait=_STUCK_CHECK_SECONDS))["status"]).ended:
        letters = await target.dead_letters(id_, 1)
        if not letters:
            seen = None
            continue
        newer = await target.history(id_, after=seen or 0)
        if seen is not None and not newer:
            raise Stuck(f"execution {id_} is stuck: {stuck_by(letters[0])}", Exit.GAVE_UP)
        seen = newer[-1].seq if newer else 0
    return execution


def stuck_by(letter: JsonObject) -> str:
    """Says because of which dead letter an execution is stuck."""
    return f"{letter['error']} (dead letter {letter['id']})"


async def print_outcome(store: EventStore, record: ExecutionRecord, *, one_line: bool) -> int:
    """Prints the outcome of an execution and returns the exit code for it."""
    return print_ending(await describe(store, record), one_line=one_line)


def print_ending(execution: Mapping[str, Json], *, one_line: bool) -> int:
    """Prints the outcome of an execution, as the API shows it, and returns the exit code for it."""
    match Status(execution["status"]):
        case Status.COMPLETED:
            print_json(execution["output"], one_line=one_line)
            return Exit.DONE
        case Status.FAULTED:
            click.echo(json_text(execution["error"]), err=True)
            return Exit.FAULTED
        case Status.CANCELLED:
            say(f"unspool: execution {execution['id']} was cancelled")
            return Exit.CANCELLED
        case status:
            say(f"unspool: execution {execution['id']} is still {status}")
            return Exit.GAVE_UP
