"""`unspool start`: starts an execution of a stored definition."""

import asyncio

import click

from unspool.api.representations import describe, start_conflict
from unspool.cli import remote
from unspool.cli.actor import current_user
from unspool.cli.deployed import deployed, named
from unspool.cli.exits import CommandError, Exit
from unspool.cli.following import follow, print_outcome, record_of
from unspool.cli.loop import asynchronous, stop_signals
from unspool.cli.options import (
    Place,
    api_option,
    example,
    input_option,
    json_option,
    place_options,
    read_input,
    tag_option,
)
from unspool.cli.output import print_json, say
from unspool.cli.starting import start_or_join
from unspool.cli.stores import opened, store_url
from unspool.definitions.json_value import Json
from unspool.eventstore import ids
from unspool.eventstore.clock import SystemClock
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import ExecutionKey, ExecutionRecord, Start
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
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="With --wait: exit with 4 after this time.",
)
@api_option
@place_options
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
    api: str | None,
    place: Place,
    as_json: bool,
) -> int:
    """Start an execution and print its id. Without VERSION, the latest version is started.

    If an execution has the idempotency key that the definition makes from the input, its id is printed.
    """
    if id_ is not None and not ids.EXECUTION_ID.fullmatch(id_):
        raise CommandError(f"an id must match {ids.EXECUTION_ID.pattern}")
    input_ = read_input(input_text)
    if api is not None:
        start = remote.NewExecution(workflow, input_, id_, tags)
        return await remote.start(api, place, start, wait=wait, timeout=timeout, as_json=as_json)
    async with opened(store_url(place)) as store:
        record = await _start(store, place.tenant, workflow, input_, id_, tags)
        if wait:
            return await _wait(store, record, timeout, as_json=as_json)
        if as_json:
            print_json(await describe(store, record), one_line=True)
        else:
            click.echo(record.key.id)
    return Exit.DONE


async def _start(
    store: EventStore, tenant: str, workflow: str, input_: Json, id_: str | None, tags: Tags
) -> ExecutionRecord:
    asked = named(workflow)
    ref = await deployed(store, tenant, asked)
    now = SystemClock().now()
    if id_ is None:
        new = Start(ExecutionKey(tenant, ids.new_id(now)), ref, input_, now, tags=tags, by=current_user())
        start, _ = await start_or_join(store, new)
        return await record_of(store, start.key)
    key = ExecutionKey(tenant, id_)
    created = await store.start(Start(key, ref, input_, now, tags=tags, by=current_user()))
    record = await record_of(store, key)
    if not created:
        conflict = await start_conflict(store, record, ref, asked.version, input_)
        if conflict is not None:
            raise CommandError(f"{key.id} belongs to {conflict}; choose another id")
        say(f"unspool: execution {key.id} exists already; it was not started again")
    return record


async def _wait(
    store: EventStore,
    record: ExecutionRecord,
    timeout: float | None,  # noqa: ASYNC109 - an option of the command
    *,
    as_json: bool,
) -> int:
    with stop_signals() as stop:
        limit = asyncio.sleep(timeout) if timeout is not None else stop.wait()
        if not await done_before(follow(store, record.key), stop.wait(), limit):
            say(f"unspool: execution {record.key.id} continues")
            return Exit.GAVE_UP
    return await print_outcome(store, await record_of(store, record.key), one_line=as_json)
