"""`unspool executions cancel|suspend|resume|retry`: asks for an operation and waits for its effect."""

from typing import Final

import click

from unspool.api.operations import NotAllowed, check_allowed_now, wait_for_effect
from unspool.api.representations import describe
from unspool.cli.actor import current_actor, reason_option
from unspool.cli.effects import takes_effect, wait_options
from unspool.cli.exits import CommandError, Exit
from unspool.cli.following import dead_letter_of, record_of
from unspool.cli.loop import asynchronous
from unspool.cli.options import Place, example, json_option, place_options
from unspool.cli.output import print_json, say
from unspool.cli.stores import opened, store_url, url_of_execution
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import ExecutionKey, ExecutionRecord, Message, MessageKind

_DONE: Final = {
    MessageKind.CANCEL: "cancelled",
    MessageKind.SUSPEND: "suspended",
    MessageKind.RESUME: "resumed",
    MessageKind.RETRY: "retried",
}


def operation_command(kind: MessageKind, text: str) -> click.Command:
    """Makes the command for one operation, with `text` as its help."""

    @click.command(
        kind.value, help=text, epilog=example(f"unspool executions {kind} 01JD8X4W0M2V5Z7Y3T6K9Q1B0C")
    )
    @click.argument("id_", metavar="ID")
    @reason_option
    @wait_options
    @place_options
    @json_option
    @asynchronous
    async def operate(
        id_: str,
        reason: str | None,
        wait: bool,
        timeout: float,  # noqa: ASYNC109 - an option of the command
        place: Place,
        as_json: bool,
    ) -> int:
        url = url_of_execution(place, id_)
        async with opened(url) as store:
            record = await record_of(store, ExecutionKey(place.tenant, id_))
            try:
                await check_allowed_now(store, kind, record)
                await store.send(place.tenant, Message(kind, id_, current_actor(reason).data()))
                applied = wait and await takes_effect(wait_for_effect(store, kind, record), timeout)
            except NotAllowed as cause:
                raise CommandError(f"execution {id_} {cause}") from None
            latest = await record_of(store, record.key)
            if as_json:
                print_json(await describe(store, latest), one_line=True)
            if applied and not as_json:
                click.echo(_outcome(kind, latest))
            if not wait:
                say(f"asked execution {id_} to {kind}")
            if applied or not wait:
                return Exit.DONE
            say(await _pending(store, kind, latest, None if url == store_url(place) else url))
            return Exit.GAVE_UP

    return operate


def _outcome(kind: MessageKind, record: ExecutionRecord) -> str:
    if record.status == _DONE[kind]:
        return f"execution {record.key.id} is {record.status}"
    return f"execution {record.key.id} was {_DONE[kind]} and is now {record.status}"


async def _pending(store: EventStore, kind: MessageKind, record: ExecutionRecord, run: str | None) -> str:
    """Describes an operation that has not taken effect yet, and why if that is known.

    `run` is the URL of the store if it is the file of a run.
    """
    letter = await dead_letter_of(store, record.key)
    if letter:
        cause = f"it is stuck: {letter.error} (dead letter {letter.id})"
    elif run:
        cause = f"`unspool dev --store {run}` runs a worker on the file of this run"
    else:
        cause = "is a worker running?"
    still = f"execution {record.key.id} is still {record.status}"
    return f"unspool: {still}: no worker has applied {kind} yet; {cause}"
