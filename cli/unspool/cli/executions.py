"""`unspool executions`: lists, shows and operates executions."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import click

from unspool.cli.filters import filter_options
from unspool.cli.following import stuck_by
from unspool.cli.loop import asynchronous
from unspool.cli.operations import operation_command
from unspool.cli.options import Place, example, json_option, target_options
from unspool.cli.output import json_text, print_json, print_line, print_table
from unspool.cli.targets.opening import opened_target
from unspool.cli.targets.port import JsonObject, Target
from unspool.cli.terminal import printable
from unspool.definitions.json_value import Json
from unspool.eventstore.clock import rfc3339
from unspool.eventstore.events import Event
from unspool.eventstore.listing import ExecutionFilter
from unspool.eventstore.records import MessageKind, Status, WorkflowRef
from unspool.worker.child_events import children

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
@target_options
@json_option
@asynchronous
async def list_(criteria: ExecutionFilter, limit: int, place: Place, as_json: bool) -> None:
    """List executions, newest first; with an --id that ends with * in the order of the ids."""
    async with opened_target(place) as target:
        found = await target.executions(criteria, limit, summary=not as_json)
    if as_json:
        for execution in found:
            print_line(execution)
    else:
        print_table(("ID", "STATUS", "WORKFLOW", "CREATED", "TOOK"), map(_cells, found))


def _cells(execution: JsonObject) -> tuple[str, ...]:
    workflow = str(WorkflowRef(**execution["workflow"]))
    return execution["id"], execution["status"], workflow, execution["createdAt"], _duration(execution)


def _duration(execution: JsonObject) -> str:
    if execution["endedAt"] is None:
        return ""
    ended, created = (datetime.fromisoformat(execution[name]) for name in ("endedAt", "createdAt"))
    return f"{(ended - created).total_seconds():.3f} s"


@executions.command("counts", epilog=example("unspool executions counts"))
@target_options
@json_option
@asynchronous
async def counts(place: Place, as_json: bool) -> None:
    """Count the executions in each status. The store counts up to a limit; then the number has a +."""
    async with opened_target(place) as target:
        found = await target.counts()
    if as_json:
        print_json(found, one_line=True)
        return
    at_least = set(found["atLeast"])
    numbers = {
        status: f"{number}{'+' * (status in at_least)}" for status, number in found["executions"].items()
    }
    print_table(("STATUS", "EXECUTIONS"), numbers.items())


@executions.command("show", epilog=example("unspool executions show 01JD8X4W0M2V5Z7Y3T6K9Q1B0C"))
@click.argument("id_", metavar="ID")
@target_options
@json_option
@asynchronous
async def show(id_: str, place: Place, as_json: bool) -> None:
    """Show one execution: status, times, input, output or error."""
    async with opened_target(place) as target:
        execution = await described(target, id_)
        letters = await target.dead_letters(id_, 1)
    if as_json:
        print_json(execution, one_line=True)
        return
    execution.pop("waiting", None)  # the sentence tells it
    for name, value in execution.items():
        if value not in (None, []) or name in {"input", "output"}:
            click.echo(f"{name:10} {_value(name, value)}")
    for letter in letters:
        click.echo(printable(f"{'stuck':10} {stuck_by(letter)}"))


async def described(target: Target, id_: str) -> dict[str, Json]:
    """Returns an execution with its children, the progress of its tasks, and what it waits for."""
    execution = dict(await target.execution(id_))
    history = await target.history(id_)
    execution["children"] = list(children(history))
    execution["progress"] = _progress(history)
    if not Status(execution["status"]).ended:
        explained = await target.why(id_)
        execution |= {"why": explained["sentence"], "waiting": explained["waitsFor"]}
    return execution


def _progress(history: Sequence[Event]) -> list[Json]:
    """Returns the progress that the tasks that run have reported last."""
    newest: dict[str | None, Event] = {}
    for event in history:
        if event.type == "task.progressed":
            newest[event.run] = event
        elif event.type in _RUN_ENDED:
            newest.pop(event.run, None)
    return [{"task": event.task, **event.data, "at": rfc3339(event.time)} for event in newest.values()]


def _value(name: str, value: Json) -> str:
    if name == "workflow" and isinstance(value, Mapping):
        return printable(str(WorkflowRef(**value)))
    return (
        printable(value) if isinstance(value, str) and name not in {"input", "output"} else json_text(value)
    )


@executions.command("why", epilog=example("unspool executions why 01JD8X4W0M2V5Z7Y3T6K9Q1B0C"))
@click.argument("id_", metavar="ID")
@target_options
@json_option
@asynchronous
async def why(id_: str, place: Place, as_json: bool) -> None:
    """Say in one sentence what an execution waits for; --json has the facts."""
    async with opened_target(place) as target:
        explained = await target.why(id_)
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
