"""`unspool executions`: lists, shows and operates executions."""

import asyncio
import os
from collections.abc import Sequence
from contextlib import aclosing
from typing import Final

import click

from unspool.api import waiting
from unspool.api.masked_store import MaskedStore
from unspool.api.representations import describe
from unspool.cli import remote
from unspool.cli.filters import filter_options
from unspool.cli.following import dead_letter_of, record_of
from unspool.cli.jq import jq_pool
from unspool.cli.loop import asynchronous
from unspool.cli.operations import operation_command
from unspool.cli.options import Place, api_option, example, json_option, place_options
from unspool.cli.output import json_text, print_json, print_line, print_table
from unspool.cli.stores import each_store, url_of_execution, viewed
from unspool.cli.terminal import printable
from unspool.definitions.json_value import Json
from unspool.eventstore import execution_search
from unspool.eventstore.clock import rfc3339
from unspool.eventstore.events import Event
from unspool.eventstore.listing import ExecutionFilter
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import ExecutionKey, ExecutionRecord, MessageKind, WorkflowRef

_PAGE: Final = 200

_RUN_ENDED: Final = frozenset({"task.completed", "task.faulted", "task.cancelled", "workflow.retried"})
"""Events after which a run has no progress any more."""


@click.group(epilog=example("unspool executions list --status faulted --since 1d"))
def executions() -> None:
    """List, show and operate executions."""


@executions.command(
    "list", epilog=example("unspool executions list --workflow shop/order --status faulted --since 12h")
)
@filter_options
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="How many, at most.")
@api_option
@place_options
@json_option
@asynchronous
async def list_(
    criteria: ExecutionFilter,
    limit: int,
    api: str | None,
    place: Place,
    as_json: bool,
) -> None:
    """List executions, newest first; with an --id that ends with * in the order of the ids."""
    if api is not None:
        await remote.list_executions(api, place, criteria, limit, as_json=as_json)
        return
    found: list[tuple[ExecutionRecord, Json]] = []
    async with aclosing(each_store(place)) as stores:
        async for store in stores:
            masked = MaskedStore(store)
            records = await list_all(masked, place.tenant, criteria, limit)
            shown = await asyncio.gather(*(_shown(masked, record, as_json) for record in records))
            found += zip(records, shown, strict=True)
    found.sort(key=lambda pair: execution_search.Place.of(pair[0], criteria), reverse=True)
    if as_json:
        for _, execution in found[:limit]:
            print_line(execution)
    else:
        _print_records([record for record, _ in found[:limit]])


async def list_all(
    store: EventStore, tenant: str, filter_: ExecutionFilter, limit: int | None = None
) -> list[ExecutionRecord]:
    """Returns executions, newest first; all of them if `limit` is None."""
    found: list[ExecutionRecord] = []
    cursor = None
    while limit is None or len(found) < limit:
        size = _PAGE if limit is None else min(_PAGE, limit - len(found))
        page = await store.executions(tenant, filter_, limit=size, cursor=cursor)
        found += page.items
        cursor = page.cursor
        if cursor is None:
            break
    return found


async def _shown(store: EventStore, record: ExecutionRecord, as_json: bool) -> Json:
    return await describe(store, record) if as_json else None


def _print_records(records: list[ExecutionRecord]) -> None:
    print_table(
        ("ID", "STATUS", "WORKFLOW", "CREATED", "TOOK"),
        (
            (
                record.key.id,
                record.status.value,
                str(record.workflow),
                rfc3339(record.created_at),
                _duration(record),
            )
            for record in records
        ),
    )


def _duration(record: ExecutionRecord) -> str:
    if record.ended_at is None:
        return ""
    return f"{(record.ended_at - record.created_at) / 1000:.3f} s"


@executions.command("show", epilog=example("unspool executions show 01JD8X4W0M2V5Z7Y3T6K9Q1B0C"))
@click.argument("id_", metavar="ID")
@api_option
@place_options
@json_option
@asynchronous
async def show(id_: str, api: str | None, place: Place, as_json: bool) -> None:
    """Show one execution: status, times, input, output or error."""
    if api is not None:
        await remote.show(api, place, id_, as_json=as_json)
        return
    async with viewed(url_of_execution(place, id_)) as store:
        key = ExecutionKey(place.tenant, id_)
        record = await record_of(store, key)
        execution = await describe(store, record)
        history = await store.history(key)
        execution["children"] = _children(history)
        execution["progress"] = _progress(history)
        if not record.status.ended:
            explained = await _why(store, key)
            execution |= {"why": explained["sentence"], "waiting": explained["waitsFor"]}
        letter = await dead_letter_of(store, key)
    if as_json:
        print_json(execution, one_line=True)
        return
    execution.pop("waiting", None)  # the sentence tells it
    for name, value in execution.items():
        if value not in (None, []) or name in {"input", "output"}:
            click.echo(f"{name:10} {_value(name, value)}")
    if letter is not None:
        click.echo(printable(f"{'stuck':10} {letter.error} (dead letter {letter.id})"))


def _children(history: Sequence[Event]) -> list[Json]:
    """Returns the ids of the sub-workflows that an execution has started or joined."""
    started = [event.data["child"] for event in history if event.type == "child.started"]
    joined = [event.data for event in history if event.type == "child.joined"]
    instead = {each["child"]: each["execution"] for each in joined}
    return [instead.get(child, child) for child in started]


def _progress(history: Sequence[Event]) -> list[Json]:
    """Returns the progress that the tasks that run have reported last."""
    newest: dict[str | None, Event] = {}
    for event in history:
        if event.type == "task.progressed":
            newest[event.run] = event
        elif event.type in _RUN_ENDED:
            newest.pop(event.run, None)
    return [{"task": event.task, **event.data, "at": rfc3339(event.time)} for event in newest.values()]


async def _why(store: EventStore, key: ExecutionKey) -> dict[str, Json]:
    with jq_pool(os.environ) as jq:
        return await waiting.why(store, jq, key)


def _value(name: str, value: Json) -> str:
    if name == "workflow":
        return printable(str(WorkflowRef(**value)))
    return (
        printable(value) if isinstance(value, str) and name not in {"input", "output"} else json_text(value)
    )


@executions.command("why", epilog=example("unspool executions why 01JD8X4W0M2V5Z7Y3T6K9Q1B0C"))
@click.argument("id_", metavar="ID")
@place_options
@json_option
@asynchronous
async def why(id_: str, place: Place, as_json: bool) -> None:
    """Say in one sentence what an execution waits for; --json has the facts."""
    async with viewed(url_of_execution(place, id_)) as store:
        record = await record_of(store, ExecutionKey(place.tenant, id_))
        explained = await _why(store, record.key)
    if as_json:
        print_json(explained, one_line=True)
    else:
        click.echo(printable(explained["sentence"]))


for kind, text in (
    (MessageKind.CANCEL, "Cancel an execution; running tasks are asked to stop."),
    (MessageKind.SUSPEND, "Suspend an execution: running tasks can finish, no new task starts."),
    (MessageKind.RESUME, "Resume a suspended execution."),
    (MessageKind.RETRY, "Restart a faulted execution at the task that faulted, in the same history."),
):
    executions.add_command(operation_command(kind, text))
