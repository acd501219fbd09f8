"""Schedules as they are stored."""

from collections.abc import AsyncIterator
from itertools import count
from typing import Final, NamedTuple

from unspool.eventstore.built_in import SCHEDULE
from unspool.eventstore.events import Event
from unspool.eventstore.listing import ExecutionFilter
from unspool.eventstore.port import Histories
from unspool.eventstore.records import (
    ExecutionKey,
    ExecutionRecord,
    Loaded,
    Message,
    Start,
    WorkflowRef,
    start_message,
)
from unspool.worker.schedule.evolve import evolve, fold
from unspool.worker.schedule.limits import COMPACT_AFTER, MAX_STARTS
from unspool.worker.schedule.state import ScheduleState

_ENTRIES: Final = 3 * (COMPACT_AFTER + MAX_STARTS)
"""Entries in the first read. Few histories have more: they are shortened to the last two compactions."""

_PAGE: Final = 200

_AT_ONCE: Final = 10
"""Schedules that are loaded together: each may hold some MiB of events."""


class StoredSchedule(NamedTuple):
    """A schedule as far as its history was read."""

    state: ScheduleState
    commit_id: str | None = None
    """The commit that led to the state, if it is known."""
    opening: Message | None = None
    """The message that begins the schedule, as long as nothing has."""

    @property
    def shown(self) -> ScheduleState:
        """The state; before the first event, what the opening message will lead to, without times."""
        if self.opening is None:
            return self.state
        body = self.opening.body["input"]
        data = {"workflow": WorkflowRef(*body["workflow"])._asdict(), "schedule": body["schedule"]}
        deployed = evolve(self.state, Event(1, "schedule.deployed", 0, None, None, data))
        return deployed._replace(version=0)


async def stored_schedule(store: Histories, key: ExecutionKey) -> StoredSchedule | None:
    """The schedule of a key; None if there is none. Raises `CorruptHistory`."""
    [loaded] = await store.load([key], _ENTRIES)
    return None if loaded is None else await _stored(store, loaded)


async def stored_schedules(store: Histories, tenant: str) -> AsyncIterator[StoredSchedule]:
    """All schedules of a tenant, also those that have ended. Raises `CorruptHistory`."""
    filter_, cursor = ExecutionFilter(workflow=SCHEDULE[:2]), None
    for page_number in count():
        if page_number and cursor is None:
            return
        page = await store.executions(tenant, filter_, limit=_PAGE, cursor=cursor)
        for first in range(0, len(page.items), _AT_ONCE):
            some = page.items[first : first + _AT_ONCE]
            for loaded in await store.load([record.key for record in some], _ENTRIES):
                if loaded is not None:
                    yield await _stored(store, loaded)
        cursor = page.cursor


async def _stored(store: Histories, loaded: Loaded) -> StoredSchedule:
    record, _, events = loaded
    state = fold(ScheduleState(record.key.id), events)
    while state.version < record.version:
        state = fold(state, await store.history(record.key, after=state.version))
    return StoredSchedule(state, record.commit_id, _opening(record))


def _opening(record: ExecutionRecord) -> Message | None:
    if record.version > 0:
        return None
    return start_message(Start(record.key, record.workflow, record.pending_input, record.created_at))
