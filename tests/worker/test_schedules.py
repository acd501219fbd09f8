"""Schedules on real stores: workers and timer services run them (inventory C)."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest

from unspool.definitions.compile import compile_plan
from unspool.definitions.document import load
from unspool.definitions.expressions import JqPool
from unspool.eventstore.archive_lines import lines_of
from unspool.eventstore.built_in import schedule_key
from unspool.eventstore.consumers import WORKERS, Consumer
from unspool.eventstore.ids import derived_id
from unspool.eventstore.listing import ExecutionFilter
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import (
    Commit,
    Definition,
    ExecutionKey,
    ExecutionRecord,
    Message,
    MessageKind,
    Start,
    Status,
    WorkflowRef,
)
from unspool.eventstore.results import Outcome, Stored
from unspool.timer_service import TimerService, TimerSettings
from unspool.worker.replay import verify
from unspool.worker.schedule.decide import decide
from unspool.worker.schedule.deployment import deploy
from unspool.worker.schedule.operations import current_schedule, current_schedules, wait_until_paused
from unspool.worker.schedule.settings import ScheduleSettings
from unspool.worker.schedule.state import ScheduleState
from unspool.worker.service import WorkerService
from unspool.worker.settings import WorkerSettings

TENANT = "default"
KEY = schedule_key(TENANT, "shop", "report")
HEAD = "document: {dsl: '1.0.3', namespace: shop, name: %s, version: '%s'}\n"
TASKS = "do: [{a: {set: {x: 1}}}]\n"
FAIL = "do: [{a: {raise: {error: {type: 'https://example.com/e', status: 500}}}}]\n"
NAP = "do: [{a: {wait: {minutes: 10}}}]\n"


@contextlib.asynccontextmanager
async def running(store: EventStore, jq: JqPool, count: int = 1, **settings: Any) -> AsyncIterator[None]:
    """Some workers, and as many timer services."""
    schedules = ScheduleSettings(**settings)
    services = [
        service
        for number in range(count)
        for service in (
            WorkerService(store, jq, WorkerSettings(), f"w{number}", schedules=schedules),
            TimerService(store, TimerSettings()),
        )
    ]
    async with asyncio.TaskGroup() as group:
        for service in services:
            group.create_task(service.run())
        try:
            yield
        finally:
            for service in services:
                service.stop()


def now() -> int:
    return time.time_ns() // 1_000_000


async def deployed(
    store: EventStore, schedule: str, version: str = "1.0.0", tasks: str = TASKS, name: str = "report"
) -> str:
    text = HEAD % (name, version) + (f"schedule: {schedule}\n" if schedule else "") + tasks
    definition = Definition(WorkflowRef("shop", name, version), text, now())
    assert await deploy(store, TENANT, definition, now()) is not Stored.DIFFERENT
    return text


async def executions(store: EventStore, tenant: str = TENANT) -> list[ExecutionRecord]:
    """Returns all executions that lists show, oldest first."""
    found: list[ExecutionRecord] = []
    cursor = None
    while True:
        page = await store.executions(tenant, ExecutionFilter(), limit=200, cursor=cursor)
        found += page.items
        cursor = page.cursor
        if cursor is None:
            return found[::-1]


async def until(condition: Callable[[], Awaitable[bool]], what: str, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.02)


async def until_started(store: EventStore, count: int) -> list[ExecutionRecord]:
    async def enough() -> bool:
        return len(await executions(store)) >= count

    await until(enough, f"fewer than {count} executions were started")
    return await executions(store)


async def state_of(store: EventStore) -> ScheduleState:
    state = await current_schedule(store, KEY)
    assert state is not None
    return state


async def pause(store: EventStore) -> ScheduleState:
    """Pauses the schedule. It starts no more executions after that."""
    await store.send(TENANT, Message(MessageKind.SUSPEND, KEY.id, {}))
    await wait_until_paused(store, KEY, paused=True)
    return await state_of(store)


async def test_each_occurrence_is_one_execution(store, jq):
    """Two workers and two timer services."""
    async with running(store, jq, 2, missed="all"):
        await deployed(store, "{every: {milliseconds: 40}}")
        await until_started(store, 50)
        state = await pause(store)
        since, last = state.triggers["every"].since, state.last
        assert last is not None
        due = range(since + 40, last + 1, 40)
        wanted = {derived_id(at, f"{KEY.id}/every/{at}") for at in due}

        async def all_completed() -> bool:
            records = await executions(store)
            return len(records) == len(wanted) and all(r.status is Status.COMPLETED for r in records)

        await until(all_completed, "occurrences are missing, or there are too many")
    records = await executions(store)
    assert {record.key.id for record in records} == wanted
    assert {record.workflow for record in records} == {WorkflowRef("shop", "report", "1.0.0")}
    assert {record.parent for record in records} == {None}
    assert state.last_execution in wanted


async def test_executions_of_after_follow_each_other(store, jq):
    """Each begins after the one before has ended, also if that one faulted (inventory C3)."""
    text = await deployed(store, "{after: {milliseconds: 50}}", tasks=FAIL)
    async with running(store, jq, 2):
        records = await until_started(store, 6)
        await pause(store)
    for before, record in pairwise(records):
        assert before.status is Status.FAULTED
        assert before.ended_at is not None
        assert record.created_at >= before.ended_at + 50
    plan = compile_plan(load(text).value, jq)
    first = await store.history(records[0].key)
    assert verify(plan, records[0].key.id, first) is None


async def test_a_cancelled_execution_of_after_ends_it_until_it_is_resumed(store, jq):
    await deployed(store, "{after: PT0S}", tasks=NAP)
    async with running(store, jq):
        [record] = await until_started(store, 1)
        await store.send(TENANT, Message(MessageKind.CANCEL, record.key.id, {}))

        async def idle() -> bool:
            return (await state_of(store)).triggers["after"].idle and len(await executions(store)) == 1

        await until(idle, "the schedule goes on")
        assert (await state_of(store)).next is None
        await store.send(TENANT, Message(MessageKind.RESUME, KEY.id, {}))
        await until_started(store, 2)


async def test_lists_do_not_show_schedules_as_executions(store, jq):
    await deployed(store, "{every: PT1H}")
    async with running(store, jq):

        async def begun() -> bool:
            return (await state_of(store)).next is not None

        await until(begun, "the schedule did not begin")
        assert await executions(store) == []
        for status in Status:
            assert not (await store.executions(TENANT, ExecutionFilter(frozenset({status})))).items
        state = await state_of(store)
        assert state.next == state.triggers["every"].since + 3_600_000
        assert await current_schedules(store, TENANT) == [state]
        assert await current_schedules(store, "other") == []


async def test_a_schedule_is_shown_before_a_worker_begins_it(store):
    await deployed(store, "{every: PT1H}")
    [state] = await current_schedules(store, TENANT)
    assert (state.workflow, state.schedule) == (WorkflowRef("shop", "report", "1.0.0"), {"every": "PT1H"})
    assert (state.paused, state.next, state.last) == (False, None, None)


async def test_messages_may_come_before_the_first(store, jq):
    await deployed(store, "{every: PT1H}")
    await deployed(store, "{every: PT2H}", "2.0.0")
    await store.send(TENANT, Message(MessageKind.SUSPEND, KEY.id, {}))
    async with running(store, jq, 2):
        await wait_until_paused(store, KEY, paused=True)

        async def settled() -> bool:
            return (await state_of(store)).schedule == {"every": "PT2H"}

        await until(settled, "the second deployment had no effect")
    assert (await store.dead_letters(TENANT)).items == ()


async def test_a_new_version_takes_over_and_running_executions_go_on(store, jq):
    await deployed(store, "{every: {milliseconds: 60}}", tasks=NAP)
    async with running(store, jq):
        old = await until_started(store, 2)
        await deployed(store, "{every: {milliseconds: 70}}", "1.10.0")

        async def taken_over() -> bool:
            return (await executions(store))[-1].workflow.version == "1.10.0"

        await until(taken_over, "the new version starts nothing")
        await deployed(store, "{every: {milliseconds: 10}}", "1.9.0")  # is lower
        await deployed(store, "", "2.0.0")

        async def ended() -> bool:
            return await current_schedule(store, KEY) is None

        await until(ended, "the schedule goes on without a definition")
        records = await executions(store)
        versions = [record.workflow.version for record in records]
        assert versions == sorted(versions)
        assert set(versions) == {"1.0.0", "1.10.0"}

        async def waiting() -> bool:
            found = [await store.execution(record.key) for record in old]
            return all(record is not None and record.status is Status.WAITING for record in found)

        await until(waiting, "an execution of the old version does not go on")
        await deployed(store, "{after: PT1H}", "2.0.1")
        await until_started(store, len(records) + 1)


async def test_deploying_the_same_text_again_starts_a_schedule_that_was_not_started(store, jq):
    """The process that deployed it ended between the two steps."""
    text = HEAD % ("report", "1.0.0") + "schedule: {every: PT1H}\n" + TASKS
    definition = Definition(WorkflowRef("shop", "report", "1.0.0"), text, now())
    await store.put_definition(TENANT, definition)
    assert await current_schedules(store, TENANT) == []
    assert await deploy(store, TENANT, definition, now()) is Stored.SAME
    assert len(await current_schedules(store, TENANT)) == 1
    async with running(store, jq):

        async def begun() -> bool:
            return (await state_of(store)).version > 0

        await until(begun, "the schedule did not begin")
        before = await state_of(store)
        assert await deploy(store, TENANT, definition, now()) is Stored.SAME
        await store.send(TENANT, Message(MessageKind.SUSPEND, KEY.id, {}))
        await wait_until_paused(store, KEY, paused=True)
        assert (await state_of(store)).version == before.version + 1  # only the pause


async def test_deployments_at_the_same_time_end_with_the_highest_version(store, jq):
    async with running(store, jq, 2):
        versions = [f"1.{minor}.0" for minor in range(12)]
        await asyncio.gather(*(deployed(store, "{every: PT1H}", version) for version in reversed(versions)))

        async def highest() -> bool:
            state = await current_schedule(store, KEY)
            return state is not None and state.workflow == WorkflowRef("shop", "report", "1.11.0")

        await until(highest, "another version than the highest runs")


async def test_definitions_without_a_schedule_have_none(store):
    await deployed(store, "")
    assert await current_schedules(store, TENANT) == []
    assert await store.execution(KEY) is None


async def test_a_scheduled_workflow_can_be_started_by_hand(store, jq):
    """Inventory C10."""
    await deployed(store, "{after: PT1H}")
    async with running(store, jq):
        await until_started(store, 1)
        ref = WorkflowRef("shop", "report", "1.0.0")
        await store.start(Start(ExecutionKey(TENANT, "mine"), ref, {}, now()))
        await until_started(store, 2)
        state = await pause(store)
    assert state.last_execution != "mine"


@pytest.mark.parametrize(("missed", "most"), [("once", 1), ("all", 1000), ("skip", 0)])
async def test_after_an_outage(store, jq, missed, most):
    """Nothing ran while occurrences were due; the services that begin then read the setting."""
    hour = (now() // 3_600_000 + 12) % 24  # half a day ago, so the newest occurrence is late as well
    await deployed(store, f"{{cron: '0 {hour} * * *'}}")
    long_ago = now() - 2000 * 86_400_000
    await begin_at(store, long_ago)
    async with running(store, jq, missed=missed):

        async def caught_up() -> bool:
            following = (await state_of(store)).next
            return following is not None and following > now()

        await until(caught_up, "the schedule is still in the past")
        records = await until_started(store, most)  # the last starts may still be on their way
        assert len(records) == most
        assert all(record.workflow.name == "report" for record in records)


async def begin_at(store: EventStore, at: int) -> None:
    """Answers the first message of the schedule as a worker did at another time."""
    consumer = Consumer(WORKERS, "then")
    [delivery] = await store.receive_messages(consumer, 10, 5)
    rules = ScheduleSettings().rules
    decision = decide(ScheduleState(KEY.id), [delivery.body], at, rules, {})
    commit = Commit(
        key=KEY,
        commit_id="then",
        expected_version=0,
        events=decision.events,
        timers=decision.timers,
        acknowledges=(delivery,),
    )
    assert await store.commit(commit) is Outcome.COMMITTED
    await store.deregister(consumer)


@pytest.mark.timeout(300)
async def test_a_schedule_has_a_short_history(store, jq):
    """It does not depend on the number of occurrences."""
    async with running(store, jq):
        await deployed(store, "{every: {milliseconds: 4}}")
        state = await state_of(store)

        async def many() -> bool:
            nonlocal state
            state = await state_of(store)
            return state.version > 1500

        await until(many, "too few occurrences", 240)
        state = await pause(store)
    history = await store.history(KEY)
    assert history[-1].seq == state.version > 1500
    assert len(history) < 600
    assert history[0].seq > 1000


async def test_what_is_deleted_of_a_history_is_archived(store, jq, tmp_path):
    """The files and the stored history have all events of the schedule."""
    async with running(store, jq, archive=str(tmp_path / "archive")):
        await deployed(store, "{every: {milliseconds: 4}}")

        async def many() -> bool:
            return (await state_of(store)).version > 700

        await until(many, "too few occurrences", 120)
        await pause(store)
    files = sorted((tmp_path / "archive" / TENANT / "schedules" / "shop.report").iterdir())
    assert len(files) >= 2
    archived = []
    for path in files:
        with path.open("rb") as file:
            archived += [json.loads(line) for line in lines_of(file)]
    seqs = [event["seq"] for event in archived] + [event.seq for event in await store.history(KEY)]
    assert seqs == [*range(1, len(seqs) + 1)]
    assert archived[0]["type"] == "schedule.deployed"


async def test_a_history_that_cannot_be_archived_is_not_shortened(store, jq, tmp_path, caplog):
    (tmp_path / "archive").write_text("a file")
    async with running(store, jq, archive=str(tmp_path / "archive")):
        await deployed(store, "{every: {milliseconds: 4}}")

        async def failed() -> bool:
            return "cannot be archived" in caplog.text

        await until(failed, "nothing was to be archived", 120)
        await pause(store)
    assert (await store.history(KEY))[0].seq == 1


async def test_schedules_of_tenants_are_separate(store, jq):
    text = HEAD % ("report", "1.0.0") + "schedule: {after: PT1H}\n" + TASKS
    definition = Definition(WorkflowRef("shop", "report", "1.0.0"), text, now())
    async with running(store, jq):
        for tenant in ("one", "two"):
            await deploy(store, tenant, definition, now())

        async def both() -> bool:
            return [len(await executions(store, tenant)) for tenant in ("one", "two")] == [1, 1]

        await until(both, "one of the tenants has no execution")
    assert await executions(store) == []
