"""Commands with `--api`: they work on a running API instead of a store."""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

import click

from unspool.cli.exits import CommandError, Exit
from unspool.cli.following import print_ending
from unspool.cli.loop import stop_signals
from unspool.cli.options import Place, milliseconds
from unspool.cli.output import json_text, print_json, print_line, print_table, say
from unspool.cli.settings import ProgramSettings
from unspool.cli.terminal import printable
from unspool.definitions.json_value import Json
from unspool.eventstore.clock import rfc3339
from unspool.eventstore.events import Event
from unspool.eventstore.listing import ExecutionFilter
from unspool.eventstore.records import DEFAULT_TENANT
from unspool.eventstore.settings import from_environment
from unspool.eventstore.tags import Tags
from unspool.eventstore.waiting import done_before

if TYPE_CHECKING:
    from unspool.client import AsyncClient, Execution

_MOST_PER_PAGE: Final = 200


class NewExecution(NamedTuple):
    """An execution to start."""

    workflow: str
    input: Json
    id: str | None
    tags: Tags


async def start(
    api: str,
    place: Place,
    new: NewExecution,
    *,
    wait: bool,
    timeout: float | None,  # noqa: ASYNC109 - an option of the command
    as_json: bool,
) -> int:
    """Starts an execution and prints its id, or its output if it waits; returns the exit code."""
    async with _connected(api, place) as client:
        execution = await client.start(new.workflow, new.input, id=new.id, tags=new.tags)
        if wait:
            return await _wait(client, execution.id, timeout, as_json=as_json)
    if as_json:
        print_json(execution.document, one_line=True)
    else:
        click.echo(execution.id)
    return Exit.DONE


async def _wait(
    client: "AsyncClient",
    id_: str,
    timeout: float | None,  # noqa: ASYNC109 - an option of the command
    *,
    as_json: bool,
) -> int:
    with stop_signals() as stop:
        limit = asyncio.sleep(timeout) if timeout is not None else stop.wait()
        if not await done_before(_until_ended(client, id_), stop.wait(), limit):
            say(f"unspool: execution {id_} continues")
            return Exit.GAVE_UP
    return print_ending((await client.execution(id_)).document, one_line=as_json)


async def _until_ended(client: "AsyncClient", id_: str) -> None:
    from unspool.client import NoResult  # noqa: PLC0415 - slow to import

    with suppress(NoResult):
        await client.result(id_)


async def list_executions(
    api: str, place: Place, criteria: ExecutionFilter, limit: int, *, as_json: bool
) -> None:
    """Prints the executions that match, at most `limit`."""
    found: list[Execution] = []
    async with _connected(api, place) as client, aclosing(_matching(client, criteria, limit)) as executions:
        async for execution in executions:
            found.append(execution)
            if len(found) == limit:
                break
    if as_json:
        for execution in found:
            print_line(execution.document)
    else:
        headings = ("ID", "STATUS", "WORKFLOW", "CREATED", "TOOK")
        print_table(headings, [_cells(execution) for execution in found])


async def show(api: str, place: Place, id_: str, *, as_json: bool) -> None:
    """Prints an execution and, if it has not ended, what it waits for."""
    async with _connected(api, place) as client:
        execution = await client.execution(id_)
        shown = dict(execution.document)
        if not execution.ended:
            shown["why"] = (await client.why(id_)).sentence
    if as_json:
        print_json(shown, one_line=True)
        return
    shown["workflow"] = str(execution.workflow)
    for name, value in shown.items():
        if value not in (None, {}) or name in {"input", "output"}:
            plain = isinstance(value, str) and name not in {"input", "output"}
            click.echo(f"{name:10} {printable(value) if plain else json_text(value)}")


async def history(api: str, place: Place, id_: str) -> list[Event]:
    """Returns the events of an execution."""
    async with _connected(api, place) as client:
        found = await client.history(id_)
    return [Event(e.seq, e.type, milliseconds(e.time), e.task, e.run, dict(e.data)) for e in found]


@asynccontextmanager
async def _connected(api: str, place: Place) -> AsyncIterator["AsyncClient"]:
    """A client of the API; its errors become those of the command.

    Without a tenant of its own a command leaves it to the key.
    """
    from unspool.client import AsyncClient, ClientError, NoAnswer, Unavailable  # noqa: PLC0415 - slow to import

    token = from_environment(ProgramSettings, os.environ).token or None
    tenant = None if place.tenant == DEFAULT_TENANT else place.tenant
    try:
        async with AsyncClient(api, token=token, tenant=tenant) as client:
            yield client
    except (NoAnswer, Unavailable) as error:
        raise CommandError(str(error), Exit.UNREACHABLE) from None
    except (ClientError, ValueError) as error:
        raise CommandError(str(error)) from None


def _matching(
    client: "AsyncClient", criteria: ExecutionFilter, limit: int
) -> AsyncGenerator["Execution", None]:
    workflow = None if criteria.workflow is None else "/".join(criteria.workflow)
    return client.executions(
        status=sorted(criteria.statuses),
        workflow=f"{workflow}:{criteria.version}" if criteria.version else workflow,
        since=_time(criteria.since),
        until=_time(criteria.until),
        id=criteria.id if criteria.id_prefix is None else f"{criteria.id_prefix}*",
        parent=criteria.parent,
        tags=criteria.tags,
        page_size=min(limit, _MOST_PER_PAGE),
    )


def _time(time: int | None) -> datetime | None:
    return None if time is None else datetime.fromtimestamp(time / 1000, UTC)


def _cells(execution: "Execution") -> tuple[str, ...]:
    created = rfc3339(milliseconds(execution.created_at))
    return execution.id, execution.status, str(execution.workflow), created, _duration(execution)


def _duration(execution: "Execution") -> str:
    if execution.ended_at is None:
        return ""
    return f"{(execution.ended_at - execution.created_at).total_seconds():.3f} s"
