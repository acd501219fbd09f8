"""`unspool run`: runs a definition from a file in this process."""

import asyncio
import hashlib
import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import click

from unspool.cli.actor import current_actor, current_user
from unspool.cli.deployment import as_definition, deploy_document, identity
from unspool.cli.documents import beside, valid_document
from unspool.cli.exits import Exit
from unspool.cli.following import follow, print_outcome, record_of
from unspool.cli.logs import start_logging
from unspool.cli.loop import asynchronous, stop_signals
from unspool.cli.node import Node
from unspool.cli.options import (
    Extensions,
    Place,
    Seconds,
    allow_option,
    example,
    functions_option,
    input_option,
    json_option,
    place_options,
    read_input,
    tag_option,
)
from unspool.cli.output import say
from unspool.cli.progress import Progress, live
from unspool.cli.python_functions import loaded_functions
from unspool.cli.starting import start_or_join
from unspool.cli.stores import opened, url_for_run
from unspool.cli.terminal import is_terminal
from unspool.definitions.document import Document
from unspool.eventstore.clock import SystemClock
from unspool.eventstore.ids import new_id
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import ExecutionKey, Message, MessageKind, Start, Status, WorkflowRef
from unspool.eventstore.results import Stored
from unspool.eventstore.settings import with_default
from unspool.eventstore.tags import Tags
from unspool.eventstore.waiting import done_before

_CANCEL_SECONDS: Final = 10.0
"""The longest time that a cancelled run may take to end."""


@click.command(
    epilog=example(
        "unspool run order.yaml --input '{\"id\": 7}'", "unspool run order.yaml --input @order.json"
    )
)
@click.argument("file")
@input_option
@tag_option
@click.option(
    "--timeout",
    type=Seconds(min=0),
    metavar="SECONDS",
    help="Cancel the execution and exit with 4 after this time.",
)
@click.option(
    "--sub", "subs", multiple=True, metavar="FILE", help="Deploy this definition first (repeatable)."
)
@allow_option(everything=True)
@functions_option
@place_options
@json_option
@asynchronous
async def run(
    file: str,
    *,
    input_text: str,
    tags: Tags,
    timeout: float | None,  # noqa: ASYNC109 - an option of the command
    subs: tuple[str, ...],
    allow: str | None,
    functions: Extensions,
    place: Place,
    as_json: bool,
) -> int:
    """Run a definition to its end in this process and print its output as JSON.

    Worker, executor and timers run inside; shell commands, scripts and containers are allowed unless --allow
    or UNSPOOL_ALLOW says otherwise. Without --store, each run has its own store, which is kept for `unspool
    history` and `unspool replay`. Ctrl-C cancels the execution.
    """
    start_logging(os.environ.get("UNSPOOL_LOG_LEVEL") or "warning")
    loaded = loaded_functions(functions)
    documents = [valid_document(name, loaded.names()) for name in (*subs, file)]
    input_ = read_input(input_text)
    key = ExecutionKey(place.tenant, new_id(SystemClock().now()))
    url = url_for_run(place, key.id)
    async with opened(url, _environment(private=place.url is None)) as store:
        ref = await _deploy(store, place.tenant, documents)
        if is_terminal(sys.stderr):
            say(f"execution {key.id} of {ref}")
        start = partial(Start, key, ref, input_, tags=tags, by=current_user())
        node = Node(store, url, environment=beside(file), allow=allow, functions=loaded)
        key, in_time = await _run(store, node, start, timeout)
        record = await record_of(store, key)
        if in_time or record.status in {Status.COMPLETED, Status.FAULTED}:
            return await print_outcome(store, record, one_line=as_json)
    say(f"unspool: the {timeout:g} seconds are over; execution {key.id} is {record.status}")
    return Exit.GAVE_UP


async def _run(
    store: EventStore,
    node: Node,
    start_at: Callable[[int], Start],
    timeout: float | None,  # noqa: ASYNC109 - an option of the command
) -> tuple[ExecutionKey, bool]:
    """Runs one execution to its end, or waits for the end of the one with its idempotency key.

    A stop signal or the timeout cancels an execution that was started here. Returns the execution, and False
    after the timeout.
    """
    async with (
        node,
        live(Progress(), sys.stderr) as lines,
    ):
        with stop_signals() as stop:
            start, created = await start_or_join(store, start_at(SystemClock().now()))
            following = follow(store, start.key, lines.add)
            if await done_before(following, stop.wait(), _elapsed(timeout)):
                return start.key, True
            if created:
                await _cancel(store, start.key)
            return start.key, stop.is_set()


async def _cancel(store: EventStore, key: ExecutionKey) -> None:
    await store.send(key.tenant, Message(MessageKind.CANCEL, key.id, current_actor().data()))
    await done_before(follow(store, key), asyncio.sleep(_CANCEL_SECONDS))


async def _elapsed(seconds: float | None) -> None:
    if seconds is None:
        await asyncio.Event().wait()
    else:
        await asyncio.sleep(seconds)


async def _deploy(store: EventStore, tenant: str, documents: list[Document]) -> WorkflowRef:
    """Stores the definitions; returns the identity of the last one, which is the one to run."""
    *subs, main = documents
    for document in subs:
        await deploy_document(store, tenant, document, scheduled=False)
    ref = identity(main)
    stored = await store.put_definition(tenant, as_definition(main))
    if stored is Stored.DIFFERENT:
        ref = _run_version(ref, main.text)
        await store.put_definition(tenant, as_definition(main, ref))
    return ref


def _run_version(ref: WorkflowRef, text: str) -> WorkflowRef:
    """Returns a version for a changed text: lower than the stored version, so it is never the latest."""
    digest = hashlib.sha256(text.encode()).hexdigest()[:10]
    core = ref.version.partition("+")[0].partition("-")[0]
    return ref._replace(version=f"{core}-0.run-{digest}")


def _environment(*, private: bool) -> Mapping[str, str]:
    """Returns the settings of a run.

    Its own file need not survive a power failure, so commits do not wait for the disk.
    """
    return with_default(os.environ, "UNSPOOL_SQLITE_SYNCHRONOUS", "normal") if private else os.environ
