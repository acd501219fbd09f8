"""Stores checked definitions."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from unspool.cli.exits import CommandError
from unspool.definitions.document import Document
from unspool.eventstore.clock import SystemClock
from unspool.eventstore.records import Definition, WorkflowRef
from unspool.eventstore.results import Stored
from unspool.worker.schedule.deployment import LISTENING_WITHIN, Store, deploy
from unspool.worker.schedule.operations import wait_until_begun


def identity(document: Document) -> WorkflowRef:
    """Returns namespace, name and version of a checked definition."""
    members = document.value["document"]
    return WorkflowRef(members["namespace"], members["name"], members["version"])


def as_definition(document: Document, ref: WorkflowRef | None = None) -> Definition:
    """Returns a checked definition in the form that is stored."""
    return Definition(ref or identity(document), document.text, SystemClock().now())


async def deploy_document(store: Store, tenant: str, document: Document, *, scheduled: bool = True) -> Stored:
    """Stores a checked definition; its schedule begins, unless `scheduled` is False.

    Raises:
        CommandError: that version exists with another text.
    """
    definition = as_definition(document)
    if scheduled:
        stored = await deploy(store, tenant, definition, definition.created_at)
    else:
        stored = await store.put_definition(tenant, definition)
    if stored is Stored.DIFFERENT:
        raise CommandError(
            f"{document.name}: {definition.ref} exists with another text; "
            "give the change a new version (document.version)"
        )
    return stored


async def listening(store: Store, tenant: str, documents: Sequence[Document]) -> None:
    """Waits for some seconds until schedules listen to their events: earlier ones start nothing."""
    waits = [
        wait_until_begun(store, tenant, identity(document))
        for document in documents
        if "on" in document.value.get("schedule", {})
    ]
    if waits:
        with suppress(TimeoutError):
            async with asyncio.timeout(LISTENING_WITHIN), asyncio.TaskGroup() as group:
                for wait in waits:
                    group.create_task(wait)
