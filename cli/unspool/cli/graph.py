"""`unspool graph`: draws a definition, with the state of an execution."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

import click

from unspool.cli.deployed import deployed, named
from unspool.cli.documents import valid_document
from unspool.cli.exits import CommandError
from unspool.cli.following import record_of
from unspool.cli.jq import jq_pool
from unspool.cli.loop import asynchronous
from unspool.cli.options import Place, example, place_options
from unspool.cli.stores import opened, store_url, url_of_execution, viewed
from unspool.cli.terminal import is_terminal, printable
from unspool.definitions.compile import plan_of
from unspool.diagram.layout.workflow import layout
from unspool.diagram.mermaid import mermaid
from unspool.diagram.plain_text import plain_text
from unspool.diagram.runs import RunLog
from unspool.diagram.states import task_states
from unspool.diagram.status import TaskState
from unspool.diagram.svg import svg
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import ExecutionKey, WorkflowRef

_SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})


class _Drawn(NamedTuple):
    """What is drawn: the text of a definition, and the history of an execution if there is one."""

    text: str
    log: RunLog | None = None


@click.command(
    epilog=example(
        "unspool graph order.yaml --svg > order.svg",
        "unspool graph shop/order:1.0.0 --mermaid",
        "unspool graph --execution 01JD8X4W0M2V5Z7Y3T6K9Q1B0C",
    )
)
@click.argument("source", metavar="[FILE|NAMESPACE/NAME[:VERSION]]", required=False)
@click.option("--svg", "form", flag_value="svg", help="An SVG image; the default without a terminal.")
@click.option("--mermaid", "form", flag_value="mermaid", help="Mermaid text, which GitHub draws.")
@click.option("--ascii", "form", flag_value="ascii", help="A tree as text; the default on a terminal.")
@click.option(
    "--execution",
    metavar="ID",
    help="Show the states of the tasks in this execution. Without a definition, its own is drawn.",
)
@click.option(
    "--at",
    type=click.IntRange(min=0),
    metavar="N",
    help="With --execution: as of event N; default: last.",
)
@place_options
@asynchronous
async def graph(
    source: str | None, form: str | None, execution: str | None, at: int | None, place: Place
) -> None:
    """Draw a definition: a file, or a deployed one."""
    if source is None and execution is None:
        raise click.UsageError("name a definition or an execution")
    if at is not None and execution is None:
        raise click.UsageError("--at goes with --execution")
    text = None if source is None else await _definition(place, source)
    drawn = _Drawn(str(text)) if execution is None else await _with_execution(place, execution, at, text)
    click.echo(_as(form or ("ascii" if is_terminal(sys.stdout) else "svg"), drawn), nl=False)


async def _definition(place: Place, source: str) -> str:
    if _is_file(source):
        return valid_document(source).text
    async with opened(store_url(place)) as store:
        return await _stored(store, place.tenant, await deployed(store, place.tenant, named(source)))


def _is_file(source: str) -> bool:
    return source == "-" or Path(source).suffix in _SUFFIXES or Path(source).is_file()


async def _stored(store: EventStore, tenant: str, ref: WorkflowRef) -> str:
    definition = await store.definition(tenant, *ref)
    if definition is None:
        raise CommandError(f"the definition {ref} is not deployed")
    return definition.text


async def _with_execution(place: Place, execution: str, at: int | None, text: str | None) -> _Drawn:
    async with viewed(url_of_execution(place, execution)) as store:
        record = await record_of(store, ExecutionKey(place.tenant, execution))
        if at is not None and at > record.version:
            raise CommandError(f"there is no event {at}; the history has {record.version}")
        if text is None:
            text = await _stored(store, place.tenant, record.workflow)
        until = record.version if at is None else at
        log = RunLog(execution)
        log.add(await store.history(record.key, limit=until) if until else [])
    return _Drawn(text, log)


def _as(form: str, drawn: _Drawn) -> str:
    with jq_pool(os.environ) as jq:
        plan = plan_of(drawn.text, jq)
    laid_out = layout(plan)
    states: Mapping[str, TaskState] = {}
    if drawn.log is not None:
        states = task_states(drawn.log, [pointer for pointer in plan.tasks if pointer])
    match form:
        case "svg":
            return svg(laid_out, states)
        case "mermaid":
            return printable(mermaid(laid_out, {task: str(state.status) for task, state in states.items()}))
        case _:
            marks = {task: str(state) for task, state in states.items() if state.reached}
            return printable(plain_text(laid_out.outline, marks))
