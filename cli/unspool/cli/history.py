"""`unspool history`: the events of an execution."""

import asyncio
import sys
from typing import Final, NamedTuple

import click

from unspool.cli.exits import CommandError, Exit
from unspool.cli.exports import is_file_name, masked_history, read_export, texts_of, write_export
from unspool.cli.following import record_of
from unspool.cli.loop import asynchronous
from unspool.cli.options import Place, example, json_option, target_options
from unspool.cli.output import json_text, print_line, print_table, say, shortened
from unspool.cli.stores import opened, url_of_execution
from unspool.cli.targets.opening import opened_target
from unspool.cli.targets.port import Target
from unspool.cli.terminal import is_terminal
from unspool.definitions.json_value import Json
from unspool.eventstore.event_json import event_json
from unspool.eventstore.events import Event
from unspool.eventstore.records import ExecutionKey

_DATA_WIDTH: Final = 100


@click.command(epilog=example("unspool history 01JD8X4W0M2V5Z7Y3T6K9Q1B0C --export order.jsonl"))
@click.argument("source", metavar="ID|FILE")
@click.option(
    "--export",
    metavar="FILE.jsonl",
    help="Write the history and the definition to a file that `unspool replay` reads.",
)
@click.option(
    "--tree", is_flag=True, help="Show the events of sub-workflows too, indented below their `child.started`."
)
@target_options
@json_option
@asynchronous
async def history(source: str, export: str | None, tree: bool, place: Place, as_json: bool) -> None:
    """Show the history of an execution, one event a line.

    Give the id of a stored execution, an archived history, or a file that --export has written.
    """
    if export and tree:
        raise click.UsageError("--export writes one history; it does not go with --tree")
    if export and place.api is not None:
        raise click.UsageError("--export needs a store, not an API; give --store")
    if await asyncio.to_thread(is_file_name, source):
        if export or tree:
            raise click.UsageError("--export and --tree need a stored execution, not a file")
        print_events([*masked_history(read_export(source, part=True)).events], as_json=as_json)
    elif export:
        await _export(place, source, export)
    else:
        await _show(place, source, tree=tree, as_json=as_json)


async def _show(place: Place, id_: str, *, tree: bool, as_json: bool) -> None:
    async with opened_target(place) as target:
        events = await target.history(id_)
        nested = await _with_children(target, id_, events) if tree else []
    if tree:
        _print_tree(nested, as_json=as_json)
    else:
        print_events(events, as_json=as_json)


async def _export(place: Place, id_: str, file: str) -> None:
    # An exported history is for `replay`, which needs the real values.
    async with opened(url_of_execution(place, id_)) as store:
        record = await record_of(store, ExecutionKey(place.tenant, id_))
        events = await store.history(record.key)
        definition = await store.definition(place.tenant, *record.workflow)
        texts = await texts_of(store, place.tenant, events)
    write_export(file, record, definition.text if definition else None, events, texts)
    say(f"wrote {len(events)} events to {file}")


_SUB_WORKFLOW: Final = {"child.started": "child", "child.joined": "execution"}
"""The events that name a sub-workflow, and the member with its id."""


class _Nested(NamedTuple):
    """An event in a tree of executions."""

    depth: int
    execution: str
    event: Event


async def _with_children(target: Target, execution: str, events: list[Event]) -> list[_Nested]:
    """Returns the events, and those of sub-workflows after the events that started or joined them.

    An execution that several others joined is shown once.
    """
    nested, seen = list[_Nested](), {execution}
    # Without recursion: only starts have a limit of levels, while a chain of joins can be of any length.
    open_ = [(execution, iter(events))]
    while open_:
        shown, following = open_[-1]
        event = next(following, None)
        if event is None:
            open_.pop()
            continue
        nested.append(_Nested(len(open_) - 1, shown, event))
        id_ = event.data.get(_SUB_WORKFLOW.get(event.type, ""))
        if id_ is not None and id_ not in seen:
            seen.add(id_)
            open_.append((id_, iter(await _history(target, id_))))
    return nested


async def _history(target: Target, child: str) -> list[Event]:
    """The events of a sub-workflow; none if retention has deleted it."""
    try:
        return await target.history(child)
    except CommandError as error:
        if error.code is not Exit.INVALID:
            raise
        return []


def _print_tree(nested: list[_Nested], *, as_json: bool) -> None:
    if as_json:
        for each in nested:
            print_line({"execution": each.execution, **event_json(each.event)})
        return
    width = _DATA_WIDTH if is_terminal(sys.stdout) else None
    rows = ((each.depth, event_cells(each.event, width)) for each in nested)
    print_table(
        ("SEQ", "TIME", "TYPE", "TASK", "RUN", "DATA"),
        (("  " * depth + seq, *cells) for depth, (seq, *cells) in rows),
    )


def print_events(events: list[Event], *, as_json: bool) -> None:
    """Prints events as a table, or as one JSON object a line."""
    if as_json:
        for event in events:
            print_line(event_json(event))
        return
    width = _DATA_WIDTH if is_terminal(sys.stdout) else None
    print_table(
        ("SEQ", "TIME", "TYPE", "TASK", "RUN", "DATA"), (event_cells(event, width) for event in events)
    )


def _shown(event: Event) -> dict[str, Json]:
    """Returns the data of an event without filters that compare with no value of the execution."""
    if event.type == "workflow.correlation-started" and not any(event.data["filters"]):
        return {name: value for name, value in event.data.items() if name != "filters"}
    return dict(event.data)


def event_cells(event: Event, width: int | None) -> tuple[str, ...]:
    """Returns the cells of an event in a table; its data has at most `width` characters."""
    shown = _shown(event)
    data = json_text(shown) if shown else ""
    return (
        str(event.seq),
        str(event_json(event)["time"]),
        event.type,
        event.task or "",
        event.run or "",
        data if width is None else shortened(data, width),
    )
