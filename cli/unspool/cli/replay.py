"""`unspool replay`: rebuilds states from histories and verifies histories."""

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import aclosing

import click

from unspool.cli.documents import valid_document
from unspool.cli.exits import CommandError, Exit
from unspool.cli.exports import History, is_file_name, masked_history, read_export, texts_of
from unspool.cli.following import record_of
from unspool.cli.jq import jq_pool
from unspool.cli.loop import asynchronous
from unspool.cli.options import Place, example, json_option, no_api_option, place_options, workflow_name
from unspool.cli.output import print_json, print_line, say
from unspool.cli.state_at import StateAt, print_state
from unspool.cli.stores import each_store, opened, url_of_execution
from unspool.cli.targets.store_target import list_all
from unspool.cli.verification import Verifier, print_result
from unspool.eventstore.listing import ExecutionFilter
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import ExecutionKey, ExecutionRecord
from unspool.eventstore.settings import from_environment
from unspool.worker.settings import WorkerSettings


@click.command(
    epilog=example(
        "unspool replay 01JD8X4W0M2V5Z7Y3T6K9Q1B0C --at 7",
        "unspool replay order.jsonl --verify",
        "unspool replay --all --workflow shop/order --definition order-2.yaml",
    )
)
@click.argument("source", metavar="[ID|FILE]", required=False)
@click.option(
    "--at", type=click.IntRange(min=1), metavar="N", help="The state as of event N; default: the last."
)
@click.option("--verify", is_flag=True, help="Interpret the history again; exit with 1 if an event differs.")
@click.option(
    "--definition", metavar="FILE", help="Verify with this definition and show the first event that differs."
)
@click.option("--all", "every", is_flag=True, help="Verify every stored history.")
@click.option("--workflow", metavar="NAMESPACE/NAME", help="With --all: only histories of this workflow.")
@no_api_option
@place_options
@json_option
@asynchronous
async def replay(
    source: str | None,
    at: int | None,
    verify: bool,
    definition: str | None,
    every: bool,
    workflow: str | None,
    place: Place,
    as_json: bool,
) -> int:
    """Rebuild the state of an execution from its history, as of any event; or verify histories.

    Give the id of a stored execution, a file from `unspool history --export`, or an archived history.
    """
    _check_usage(source, at=at, verify=verify, definition=definition, every=every, workflow=workflow)
    changed = valid_document(definition).text if definition else None
    filter_ = ExecutionFilter(workflow=workflow_name(workflow) if workflow else None)
    histories = _stored_histories(place, filter_) if every else _one_history(place, str(source))
    if every or verify or changed is not None:
        return await _verify(histories, changed, every=every, as_json=as_json)
    async with aclosing(histories):
        history = masked_history(await anext(histories))
    state = StateAt.of(history, at)
    if as_json:
        print_json(state.to_json(), one_line=True)
    else:
        print_state(state)
    return Exit.DONE


def _check_usage(
    source: str | None,
    *,
    at: int | None,
    verify: bool,
    definition: str | None,
    every: bool,
    workflow: str | None,
) -> None:
    if every == (source is not None):
        raise click.UsageError("name an execution or an exported history, or use --all")
    if every and not (verify or definition):
        raise click.UsageError("--all needs --verify or --definition FILE")
    if every and definition and not workflow:
        raise click.UsageError("--all with --definition needs --workflow NAMESPACE/NAME")
    if workflow and not every:
        raise click.UsageError("--workflow goes with --all")
    if at is not None and (every or verify or definition):
        raise click.UsageError("--at shows a state; it does not go with --verify, --definition or --all")


async def _one_history(place: Place, source: str) -> AsyncGenerator[History]:
    """Yields the history of an execution, given its id or a file."""
    if await asyncio.to_thread(is_file_name, source):
        yield read_export(source)
        return
    async with opened(url_of_execution(place, source)) as store:
        record = await record_of(store, ExecutionKey(place.tenant, source))
        yield await _stored_history(store, record)


async def _stored_histories(place: Place, filter_: ExecutionFilter) -> AsyncGenerator[History]:
    async with aclosing(each_store(place)) as stores:
        async for store in stores:
            for record in await list_all(store, place.tenant, filter_):
                yield await _stored_history(store, record)


async def _stored_history(store: EventStore, record: ExecutionRecord) -> History:
    definition = await store.definition(record.key.tenant, *record.workflow)
    events = await store.history(record.key)
    texts = await texts_of(store, record.key.tenant, events)
    text = definition.text if definition else None
    return History(record.key.id, str(record.workflow), text, events, texts)


async def _verify(
    histories: AsyncGenerator[History], changed: str | None, *, every: bool, as_json: bool
) -> Exit:
    """Prints each result. If a history diverges, the last line on standard error is an RFC 7807 problem."""
    error_base = from_environment(WorkerSettings, os.environ).error_base
    count, diverged, problem = 0, 0, ""
    with jq_pool(os.environ) as jq:
        verifier = Verifier(jq, error_base)
        async with aclosing(histories):
            async for history in histories:
                result = verifier.verify(history, changed)
                if as_json:
                    print_line(result.to_json())
                else:
                    print_result(result)
                count += 1
                if result.diverged:
                    diverged += 1
                    problem = problem or result.problem()
    if every and not count:
        raise CommandError("no history matches")
    if every:
        say(f"{diverged} of {count} histories would take another path")
    if not diverged:
        return Exit.DONE
    click.echo(problem, err=True)
    return Exit.FAULTED
