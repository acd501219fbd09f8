"""Stores definitions, and lets the schedule of a workflow follow its highest version."""

import asyncio
from collections.abc import Mapping
from typing import Protocol

from unspool.definitions.document import load
from unspool.definitions.json_value import Json
from unspool.eventstore.built_in import SCHEDULE, schedule_key
from unspool.eventstore.port import Definitions, Histories, Inbox
from unspool.eventstore.records import (
    Definition,
    Message,
    MessageKind,
    Start,
    Stored,
)
from unspool.worker.schedule.state import TRIGGERS


class Store(Definitions, Histories, Inbox, Protocol):
    """The parts of the store that a deployment needs."""


async def deploy(store: Store, tenant: str, definition: Definition, now: int) -> Stored:
    """Stores a checked definition, and starts, changes or ends the schedule of its workflow.

    If the process ends between the two, deploying the same text again does the second. So a caller must not
    report a deployment as done before this function returns.
    """
    stored = await store.put_definition(tenant, definition)
    if stored is not Stored.DIFFERENT:
        await _follow_latest(store, tenant, definition, now)
    return stored


async def _follow_latest(store: Store, tenant: str, deployed: Definition, now: int) -> None:
    """Tells the schedule of a workflow about its highest version; starts it if there is none yet."""
    namespace, name, _ = deployed.ref
    latest = await store.definition(tenant, namespace, name) or deployed
    key = schedule_key(tenant, namespace, name)
    schedule = await asyncio.to_thread(_schedule_of, latest.text)  # a definition may be large
    body: dict[str, Json] = {"workflow": [*latest.ref], "schedule": schedule}
    if schedule and await store.start(Start(key, SCHEDULE, body, now)):
        return
    if schedule or await store.execution(key) is not None:
        await store.send(tenant, Message(MessageKind.DEPLOY, key.id, body))


def _schedule_of(text: str) -> Mapping[str, Json] | None:
    """The schedule of a checked definition; None if it has none."""
    schedule = load(text).value.get("schedule") or {}
    return schedule if any(name in schedule for name in TRIGGERS) else None
