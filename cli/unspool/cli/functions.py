"""`unspool functions`: lists the functions of executors."""

import asyncio
import os

import click

from unspool.api.representations import function_json
from unspool.cli.loop import asynchronous
from unspool.cli.options import example, json_option, store_option
from unspool.cli.output import print_line, print_table
from unspool.cli.stores import opened
from unspool.eventstore.opening import default_url
from unspool.eventstore.semver import order


@click.group(epilog=example("unspool functions list"))
def functions() -> None:
    """List the functions that executors have registered."""


@functions.command("list", epilog=example("unspool functions list --json"))
@store_option
@json_option
@asynchronous
async def list_(url: str | None, as_json: bool) -> None:
    """List the functions that workflows can call: each version, its queue, and the executors that live.

    With --json also the JSON schemas of input and output.
    """
    async with opened(url or default_url(os.environ)) as store:
        found, queues, now = await asyncio.gather(store.functions(), store.queues_served(), store.now())
    found.sort(key=lambda each: (each.name, order(each.version), each.queue))
    items = [function_json(each, queues[each.queue], now) for each in found]
    if as_json:
        for item in items:
            print_line(item)
        return
    print_table(
        ("FUNCTION", "VERSION", "EXECUTORS", "QUEUE"),
        ((item["name"], item["version"], str(item["executors"]), item["queue"]) for item in items),
    )
