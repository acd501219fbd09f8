"""`unspool start`: starts an execution of a stored definition."""

import asyncio

import click

from unspool.cli.deployed import named
from unspool.cli.exits import CommandError, Exit
from unspool.cli.following import print_ending, until_ended
from unspool.cli.loop import asynchronous, stop_signals
from unspool.cli.options import (
    Place,
    Seconds,
    example,
    input_option,
    json_option,
    read_input,
    tag_option,
    target_options,
)
from unspool.cli.output import print_json, say
from unspool.cli.targets.opening import opened_target
from unspool.cli.targets.port import NewExecution, Target
from unspool.eventstore import ids
from unspool.eventstore.tags import Tags
from unspool.eventstore.waiting import done_before


@click.command(epilog=example("unspool start shop/order:1.0.0 --input '{\"id\": 7}' --id order-7 --wait"))
@click.argument("workflow", metavar="NAMESPACE/NAME[:VERSION]")
@input_option
@click.option("--id", "id_", metavar="ID", help="The execution's id: the same id is never started twice.")
@tag_option
@click.option("--wait", is_flag=True, help="Wait for the execution to end and print its output.")
@click.option(
    "--timeout",
    type=Seconds(min=0),
    metavar="SECONDS",
    help="With --wait: exit with 4 after this time.",
)
@target_options
@json_option
@asynchronous
async def start(
    *,
    workflow: str,
    input_text: str,
    id_: str | None,
    tags: Tags,
    wait: bool,
    timeout: float | None,  # noqa: ASYNC109 - an option of the command
    place: Place,
    as_json: bool,
) -> int:
    """Start an execution and print its id. Without VERSION, the latest version is started.

    If an execution has the idempotency key that the definition makes from the input, its id is printed.
    """
    if id_ is not None and not ids.EXECUTION_ID.fullmatch(id_):
        raise CommandError(f"an id must match {ids.EXECUTION_ID.pattern}")
    new = NewExecution(named(workflow), read_input(input_text), id_, tags)
    async with opened_target(place) as target:
        started = await target.start(new)
        execution = started.execution
        if not started.created:
            say(_existing(execution["id"], id_))
        if wait:
            return await _wait(target, execution["id"], timeout, as_json=as_json)
    if as_json:
        print_json(execution, one_line=True)
    else:
        click.echo(execution["id"])
    return Exit.DONE


def _existing(id_: str, asked: str | None) -> str:
    if asked is None:
        return f"unspool: joined execution {id_}: it has the idempotency key of this start"
    return f"unspool: execution {id_} exists already; it was not started again"


async def _wait(
    target: Target,
    id_: str,
    timeout: float | None,  # noqa: ASYNC109 - an option of the command
    *,
    as_json: bool,
) -> int:
    with stop_signals() as stop:
        limit = asyncio.sleep(timeout) if timeout is not None else stop.wait()
        if not await done_before(until_ended(target, id_), stop.wait(), limit):
            say(f"unspool: execution {id_} continues")
            return Exit.GAVE_UP
    return print_ending(await target.execution(id_), one_line=as_json)
