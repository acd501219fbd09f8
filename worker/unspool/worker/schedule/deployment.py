"""Stores definitions, and lets the schedule of a workflow follow its highest version."""

import asyncio
from collections.abc import Mapping
from typing import Final, Protocol

from unspool.definitions.document import load
from unspool.definitions.json_value import Json
from unspool.eventstore.built_in import SCHEDULE, schedule_key
from unspool.eventstore.port import Definitions, Histories, Inbox
from unspool.eventstore.records import Definition, Message, MessageKind, Start, WorkflowRef
from unspool.eventstore.results import Stored
from unspool.eventstore.waiting import done_before
from unspool.worker.schedule.operations import wait_until_begun
from unspool.worker.schedule.state import ON, TRIGGERS


class Store(Definitions, Histories, Inbox, Protocol):
    """The parts of the store that a deployment needs."""


LISTENING_WITHIN: Final = 5.0
"""Seconds that a deployment waits for a worker to subscribe a schedule. After that it is done anyway."""


async def deploy(
    store: Store, tenant: str, definition: Definition, now: int, *, listening_within: float = 0.0
) -> Stored:
    """Stores a checked definition, and starts, changes or ends the schedule of its workflow.

    If the process ends between the two, deploying the same text again does the second. So a caller must not
    report a deployment as done before this function returns.

    Args:
        store: an open store.
        tenant: the tenant of the definition.
        definition: the checked definition.
        now: milliseconds since 1970.
        listening_within: seconds to wait for a worker to subscribe a schedule to its events. An event that is
            published before that starts nothing.
    """
    stored = await store.put_definition(tenant, definition)
    if stored is not Stored.DIFFERENT:
        latest, schedule = await _follow_latest(store, tenant, definition, now)
        if listening_within and schedule is not None and ON in schedule:
            begun = wait_until_begun(store, tenant, latest)
            await done_before(begun, asyncio.sleep(listening_within))
    return stored


async def _follow_latest(
    store: Store, tenant: str, deployed: Definition, now: int
) -> tuple[WorkflowRef, Mapping[str, Json] | None]:
    """Tells the schedule of a workflow about its highest version; starts it if there is none yet.

    Returns this version and its schedule.
    """
    namespace, name, _ = deployed.ref
    latest = await store.definition(tenant, namespace, name) or deployed
    key = schedule_key(tenant, namespace, name)
    schedule = await asyncio.to_thread(_schedule_of, latest.text)  # a definition may be large
    body: dict[str, Json] = {"workflow": [*latest.ref], "schedule": schedule}
    if schedule and await store.start(Start(key, SCHEDULE, body, now)):
        return latest.ref, schedule
    if schedule or await store.execution(key) is not None:
        await store.send(tenant, Message(MessageKind.DEPLOY, key.id, body))
    return latest.ref, schedule


def _schedule_of(text: str) -> Mapping[str, Json] | None:
    """The schedule of a checked definition; None if it has none."""
    schedule = load(text).value.get("schedule") or {}
    return schedule if any(name in schedule for name in TRIGGERS) else None
