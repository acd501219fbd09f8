"""`unspool dlq`: the dead letter queue."""

from typing import Final

import click

from unspool.api import dead_letter_operations
from unspool.api.representations import dead_letter_json
from unspool.cli.actor import current_actor, reason_option
from unspool.cli.exits import CommandError
from unspool.cli.loop import asynchronous
from unspool.cli.options import Place, example, json_option, place_options
from unspool.cli.output import json_text, print_json, print_line, print_table, say, shortened
from unspool.cli.stores import opened, store_url, url_of_execution, viewed
from unspool.cli.terminal import printable

_EXAMPLE_ID: Final = "1763700000000-0"


@click.group(epilog=example("unspool dlq list"))
def dlq() -> None:
    """Inspect, requeue or discard dead letters: messages and tasks that failed too often."""


@dlq.command("list", epilog=example("unspool dlq list --execution order-7"))
@click.option("--execution", metavar="ID", help="Only those of this execution.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=100, show_default=True, help="How many, at most."
)
@place_options
@json_option
@asynchronous
async def list_(execution: str | None, limit: int, place: Place, as_json: bool) -> None:
    """List dead letters, oldest first."""
    url = store_url(place) if execution is None else url_of_execution(place, execution)
    async with viewed(url) as store:
        page = await store.dead_letters(place.tenant, execution=execution, limit=limit)
    if as_json:
        for letter in page.items:
            print_line(dead_letter_json(letter))
        return
    rows = [dead_letter_json(letter) for letter in page.items]
    print_table(
        ("ID", "KIND", "EXECUTION", "ATTEMPTS", "SINCE", "ERROR"),
        (
            (
                row["id"],
                row["kind"],
                row["execution"],
                str(row["attempts"]),
                row["buriedAt"],
                shortened(row["error"], 100),
            )
            for row in rows
        ),
    )


@dlq.command("show", epilog=example(f"unspool dlq show {_EXAMPLE_ID}"))
@click.argument("id_", metavar="ID")
@place_options
@json_option
@asynchronous
async def show(id_: str, place: Place, as_json: bool) -> None:
    """Show a dead letter: the error, the traceback and the original message or task."""
    async with viewed(store_url(place)) as store:
        letter = await store.dead_letter(place.tenant, id_)
    if letter is None:
        raise _unknown(id_)
    if as_json:
        print_json(dead_letter_json(letter, whole=True), one_line=True)
        return
    for name, value in dead_letter_json(letter).items():
        click.echo(printable(f"{name:10} {value}"))
    click.echo(f"{'body':10} {json_text(letter.body._asdict())}")
    click.echo(printable(letter.traceback))


@dlq.command("requeue", epilog=example(f"unspool dlq requeue {_EXAMPLE_ID}"))
@click.argument("id_", metavar="ID")
@reason_option
@place_options
@asynchronous
async def requeue(id_: str, reason: str | None, place: Place) -> None:
    """Put a dead letter back into the queue it came from, unchanged."""
    async with opened(store_url(place)) as store:
        if not await dead_letter_operations.requeue(store, place.tenant, id_, current_actor(reason)):
            raise _unknown(id_)
    say(f"dead letter {id_} was requeued")


@dlq.command("discard", epilog=example(f"unspool dlq discard {_EXAMPLE_ID}"))
@click.argument("id_", metavar="ID")
@reason_option
@place_options
@asynchronous
async def discard(id_: str, reason: str | None, place: Place) -> None:
    """Delete a dead letter. Its execution can then remain unfinished."""
    async with opened(store_url(place)) as store:
        if not await dead_letter_operations.discard(store, place.tenant, id_, current_actor(reason)):
            raise _unknown(id_)
    say(f"dead letter {id_} was discarded")


def _unknown(id_: str) -> CommandError:
    return CommandError(f"there is no dead letter {id_}; it may have been requeued or discarded")
