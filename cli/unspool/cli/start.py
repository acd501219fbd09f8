"""`unspool start`: an execution of a stored definition."""

import asyncio

import click

from unspool.api.representations import describe, other_than
from unspool.cli.exits import Exit, Stop
from unspool.cli.following import conclude, follow, record_of
from unspool.cli.loop import asynchronous, stop_signals
from unspool.cli.options import (
    Place,
    example,
    input_option,
    json_option,
    place_options,
    read_input,
    workflow_name,
)
from unspool.cli.output import print_json, say
from unspool.cli.stores import opened, store_url
from unspool.definitions.json_value import Json
from unspool.eventstore import ids
from unspool.eventstore.clock import SystemClock
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import ExecutionKey, ExecutionRecord, Start
from unspool.eventstore.waiting import done_before


@click.command(epilog=example("unspool start shop/order:1.0.0 --input '{\"id\": 7}' --id order-7 --wait"))
@click.argument("workflow", metavar="NAMESPACE/NAME[:VERSION]")
@input_option
@click.option(
    "--id", "id_", metavar="ID", help="The execution's id: with the same one nothing is started twice."
)
@click.option("--wait", is_flag=True, help="Wait for its end and print its output.")
@click.option(
    "--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="Exit with 4 after waiting so long."
)
@place_options
@json_option
@asynchronous
async def start(
    workflow: str,
    input_text: str,
    id_: str | None,
    wait: bool,
    timeout: float | None,  # noqa: ASYNC109 - an option of the command
    place: Place,
    as_json: bool,
) -> int:
    """Start an execution and print its id. Without a version it is the latest one's."""
    if id_ is not None and not ids.EXECUTION_ID.fullmatch(id_):
        raise Stop(f"an id must match {ids.EXECUTION_ID.pattern}")
    input_ = read_input(input_text)
    async with opened(store_url(place)) as store:
        record = await _start(store, place.tenant, workflow, input_, id_)
        if wait:
            return await _wait(store, record, timeout, as_json=as_json)
        if as_json:
            print_json(await describe(store, record), one_line=True)
        else:
            click.echo(record.key.id)
    return Exit.DONE


async def _start(
    store: EventStore, tenant: str, workflow: str, input_: Json, id_: str | None
) -> ExecutionRecord:
    path, _, version = workflow.partition(":")
    wanted = None if version in {"", "latest"} else version
    ref = await store.resolve(tenant, *workflow_name(path), wanted)
    if ref is None:
        raise Stop(f"no definition {workflow} is deployed")
    now = SystemClock().now()
    key = ExecutionKey(tenant, id_ or ids.new_id(now))
    created = await store.start(Start(key, ref, input_, now))
    record = await record_of(store, key)
    if not created:
        other = await other_than(store, record, ref, wanted, input_)
        if other is not None:
            raise Stop(f"{key.id} is {other}; choose another id")
        say(f"unspool: execution {key.id} was started before")
    return record


async def _wait(
    store: EventStore,
    record: ExecutionRecord,
    timeout: float | None,  # noqa: ASYNC109 - an option of the command
    *,
    as_json: bool,
) -> int:
    with stop_signals() as asked:
        limit = asyncio.sleep(timeout) if timeout is not None else asked.wait()
        if not await done_before(follow(store, record.key), asked.wait(), limit):
            say(f"unspool: execution {record.key.id} goes on")
            return Exit.GAVE_UP
    return await conclude(store, await record_of(store, record.key), one_line=as_json)
