"""Schedules as callers see them: by id, without those that have ended; and waiting for an operation."""

from typing import Final

from unspool.eventstore.built_in import schedule_key
from unspool.eventstore.ids import NAME
from unspool.eventstore.port import Histories
from unspool.eventstore.records import ExecutionKey, MessageKind, WorkflowRef
from unspool.eventstore.semver import order
from unspool.worker.schedule.history import stored_schedule, stored_schedules
from unspool.worker.schedule.sets import NO_SETS
from unspool.worker.schedule.state import ScheduleState

PAUSED_BY: Final = {MessageKind.SUSPEND: True, MessageKind.RESUME: False}
"""The messages, and whether the schedule is paused after them."""

_CHECK_SECONDS: Final = 30.0
"""The longest pause between two reads of a schedule without new events."""


def key_of(tenant: str, schedule: str) -> ExecutionKey | None:
    """The key of the schedule with the id `namespace.name`; None if the id has another form."""
    namespace, _, name = schedule.partition(".")
    if not (NAME.fullmatch(namespace) and NAME.fullmatch(name)):
        return None
    return schedule_key(tenant, namespace, name)


def id_of(state: ScheduleState) -> str:
    """The id of a schedule, as callers name it: `namespace.name`."""
    return state.execution.partition(".")[2]


async def current_schedule(store: Histories, key: ExecutionKey) -> ScheduleState | None:
    """The schedule of a key; None if there is none, or its definition has none any more."""
    stored = await stored_schedule(store, key)
    return None if stored is None or stored.shown.status.ended else stored.shown


async def current_schedules(store: Histories, tenant: str) -> list[ScheduleState]:
    """The schedules of a tenant whose definitions still have one, by id, without held events."""
    states = (stored.shown async for stored in stored_schedules(store, tenant))
    found = [state._replace(sets=NO_SETS) async for state in states]
    return sorted((state for state in found if not state.status.ended), key=id_of)


async def wait_until_paused(store: Histories, key: ExecutionKey, *, paused: bool) -> None:
    """Returns when the schedule is paused, or is not, as asked; or when it has ended."""
    while True:
        state = await current_schedule(store, key)
        if state is None or (state.paused is paused and state.version > 0):
            return
        await store.wait_for_version(key, state.version, _CHECK_SECONDS)


async def wait_until_begun(store: Histories, tenant: str, workflow: WorkflowRef) -> None:
    """Returns when the schedule of this version, or of a later one, has begun; or when there is none.

    A schedule that an older version has ended begins again.
    """
    key = schedule_key(tenant, workflow.namespace, workflow.name)
    while True:
        stored = await stored_schedule(store, key)
        if stored is None or (stored.shown.version > 0 and _follows(stored.shown, workflow)):
            return
        await store.wait_for_version(key, stored.shown.version, _CHECK_SECONDS)


def _follows(state: ScheduleState, workflow: WorkflowRef) -> bool:
    return state.workflow is not None and order(state.workflow.version) >= order(workflow.version)
