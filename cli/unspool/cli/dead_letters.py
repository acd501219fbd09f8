"""`unspool dlq`: the dead letter queue."""

import asyncio
from typing import Final

import click

from unspool.cli.actor import reason_option
from unspool.cli.archived_dead_letters import is_file_name, read_letter
from unspool.cli.exits import CommandError
from unspool.cli.loop import asynchronous
from unspool.cli.options import Place, example, json_option, target_options
from unspool.cli.output import json_text, print_json, print_line, print_table, say, shortened
from unspool.cli.targets.opening import opened_target
from unspool.cli.terminal import printable
from unspool.eventstore.ids import EXECUTION_ID

_EXAMPLE_ID: Final = "7-1763700000000-0"


@click.group(epilog=example("unspool dlq list"))
def dlq() -> None:
    """Inspect, requeue or discard dead letters: messages and tasks that failed too often."""


@dlq.command("list", epilog=example("unspool dlq list --execution order-7"))
@click.option("--execution", metavar="ID", help="Only those of this execution.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=100, show_default=True, help="How many, at most."
)
@target_options
@json_option
@asynchronous
async def list_(execution: str | None, limit: int, place: Place, as_json: bool) -> None:
    """List dead letters, oldest first."""
    if execution is not None and not EXECUTION_ID.fullmatch(execution):
        raise CommandError(f"{execution!r} is not an execution's id")
    async with opened_target(place) as target:
        rows = await target.dead_letters(execution, limit)
    if as_json:
        for row in rows:
            print_line(row)
        return
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
@click.argument("source", metavar="ID|FILE")
@target_options
@json_option
@asynchronous
async def show(source: str, place: Place, as_json: bool) -> None:
    """Show a dead letter: the error, the traceback and the original message or task.

    Give the id of one in the store, or an archived file.
    """
    if await asyncio.to_thread(is_file_name, source):
        letter = read_letter(source)
    else:
        async with opened_target(place) as target:
            letter = dict(await target.dead_letter(source))
    if as_json:
        print_json(letter, one_line=True)
        return
    body, traceback = letter.pop("body"), letter.pop("traceback")
    for name, value in letter.items():
        click.echo(printable(f"{name:10} {value}"))
    click.echo(f"{'body':10} {json_text(body)}")
    click.echo(printable(traceback))


@dlq.command("requeue", epilog=example(f"unspool dlq requeue {_EXAMPLE_ID}"))
@click.argument("id_", metavar="ID")
@reason_option
@target_options
@asynchronous
async def requeue(id_: str, reason: str | None, place: Place) -> None:
    """Put a dead letter back into the queue it came from, unchanged."""
    async with opened_target(place) as target:
        await target.requeue(id_, reason)
    say(f"dead letter {id_} was requeued")


@dlq.command("discard", epilog=example(f"unspool dlq discard {_EXAMPLE_ID}"))
@click.argument("id_", metavar="ID")
@reason_option
@target_options
@asynchronous
async def discard(id_: str, reason: str | None, place: Place) -> None:
    """Delete a dead letter. Its execution can then remain unfinished."""
    async with opened_target(place) as target:
        await target.discard(id_, reason)
    say(f"dead letter {id_} was discarded")
