"""`unspool functions`: lists the functions of executors."""

import click

from unspool.cli.loop import asynchronous
from unspool.cli.options import Place, example, json_option, target_options
from unspool.cli.output import print_line, print_table
from unspool.cli.targets.opening import opened_target


@click.group(epilog=example("unspool functions list"))
def functions() -> None:
    """List the functions that executors have registered."""


@functions.command("list", epilog=example("unspool functions list --json"))
@target_options
@json_option
@asynchronous
async def list_(place: Place, as_json: bool) -> None:
    """List the functions that workflows can call: each version, its queue, and the executors that live.

    With --json also the JSON schemas of input and output.
    """
    async with opened_target(place) as target:
        items = await target.functions()
    if as_json:
        for item in items:
            print_line(item)
        return
    print_table(
        ("FUNCTION", "VERSION", "EXECUTORS", "QUEUE"),
        ((item["name"], item["version"], str(item["executors"]), item["queue"]) for item in items),
    )
