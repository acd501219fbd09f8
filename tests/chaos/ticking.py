"""A workflow with a short schedule, and the checks when the schedule is paused."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest
from tests.chaos.harness import BOUND, TENANT, completed
from tests.chaos.oracle import check_execution

from unspool.definitions.compile import compile_plan
from unspool.definitions.document import load
from unspool.definitions.expressions import JqPool
from unspool.eventstore.built_in import schedule_key
from unspool.eventstore.ids import derived_id
from unspool.eventstore.listing import ExecutionFilter
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import (
    Definition,
    ExecutionKey,
    ExecutionRecord,
    Message,
    MessageKind,
    WorkflowRef,
)
from unspool.eventstore.results import Stored
from unspool.eventstore.retry import retry_until_available
from unspool.worker.schedule.deployment import deploy
from unspool.worker.schedule.operations import current_schedule, wait_until_paused
from unspool.worker.schedule.state import ScheduleState

REF = WorkflowRef("chaos", "ticking", "1.0.0")
SCHEDULE = schedule_key(TENANT, REF.namespace, REF.name)

TEXT = """
document: {{ dsl: '1.0.3', namespace: chaos, name: ticking, version: '1.0.0' }}
schedule: {{ every: {{ milliseconds: {milliseconds} }} }}
do:
- note: {{ set: {{ noted: true }} }}
"""


async def executions_of(store: EventStore, workflow: WorkflowRef) -> list[ExecutionRecord]:
    """Returns all executions of a workflow."""
    wanted, found, cursor = ExecutionFilter(workflow=workflow[:2]), [], None
    while True:
        page = await store.executions(TENANT, wanted, limit=500, cursor=cursor)
        found += page.items
        cursor = page.cursor
        if cursor is None:
            return found


@dataclass
class Ticking:
    """The schedule. Workers must start all missed occurrences (`UNSPOOL_SCHEDULE_MISSED=all`)."""

    store: EventStore
    milliseconds: int
    """The interval."""

    @property
    def text(self) -> str:
        """The definition."""
        return TEXT.format(milliseconds=self.milliseconds)

    async def deploy(self) -> None:
        """Deploys it, and waits until it has started an execution."""
        definition = Definition(REF, self.text, 0)
        assert await deploy(self.store, TENANT, definition, _now()) is not Stored.DIFFERENT
        await self._until(lambda state: state.last is not None, "the schedule does not begin")

    async def pause(self) -> ScheduleState:
        """Pauses the schedule when it has started all that is due now. Returns its state."""
        caught_up = _now()
        await self._until(
            lambda state: state.next is not None and state.next > caught_up, "the schedule does not catch up"
        )
        pause = Message(MessageKind.SUSPEND, SCHEDULE.id, {})
        await retry_until_available(partial(self.store.send, TENANT, pause))
        await retry_until_available(partial(wait_until_paused, self.store, SCHEDULE, paused=True))
        return await self._state()

    async def check(self, jq: JqPool) -> int:
        """Checks that each occurrence is one execution, and each execution. Returns how many there are.

        The schedule must be paused.
        """
        state = await self._state()
        assert state.paused
        wanted = derived_ids(state, self.milliseconds)
        await self._all_started(len(wanted))
        deadline = time.monotonic() + BOUND
        await asyncio.gather(*(completed(self.store, key, deadline) for key in wanted))
        records = await executions_of(self.store, REF)
        assert sorted(record.key for record in records) == wanted  # none is missing, none is doubled
        assert {(record.workflow, record.parent) for record in records} == {(REF, None)}
        plan = compile_plan(load(self.text).value, jq)
        for key in wanted:
            await check_execution(self.store, key, plan, {}, "workflow.completed")
        return len(wanted)

    async def _all_started(self, count: int) -> None:
        """Waits for the starts that are in the outbox: a relay takes over those of a killed worker."""
        deadline = time.monotonic() + BOUND
        while (found := len(await retry_until_available(partial(executions_of, self.store, REF)))) < count:
            assert time.monotonic() < deadline, f"{count - found} occurrences of {count} were lost"
            await asyncio.sleep(0.2)

    async def _state(self) -> ScheduleState:
        state = await retry_until_available(partial(current_schedule, self.store, SCHEDULE))
        assert state is not None
        return state

    async def _until(self, condition: Callable[[ScheduleState], bool], what: str) -> None:
        deadline = time.monotonic() + BOUND
        while not condition(state := await self._state()):
            if time.monotonic() > deadline:
                pytest.fail(f"{what}: {state}; {await self.store.dead_letters(TENANT)}")
            await asyncio.sleep(0.05)


def derived_ids(state: ScheduleState, milliseconds: int) -> list[ExecutionKey]:
    """Returns the executions of all occurrences of `every`, up to the last that was started, in order.

    Times and ids are computed from the text of decision 9, without the code of schedules.
    """
    assert state.last is not None
    first = state.triggers["every"].since + milliseconds
    due = range(first, state.last + 1, milliseconds)
    assert state.last == due[-1]
    return sorted(ExecutionKey(TENANT, derived_id(at, f"{SCHEDULE.id}/every/{at}")) for at in due)


def _now() -> int:
    return time.time_ns() // 1_000_000
