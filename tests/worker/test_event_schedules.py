"""Events start workflows, on real stores (inventory C4, C8, P8, V7)."""

import asyncio
import json
import time
from itertools import count
from typing import Any

import pytest
from tests.worker.test_schedules import (
    KEY,
    TENANT,
    deployed,
    executions,
    pause,
    running,
    state_of,
    until,
    until_started,
)

from unspool.eventstore.port import EventStore
from unspool.eventstore.published_events import CloudEvent
from unspool.eventstore.records import ExecutionRecord, Message, MessageKind, Status, WorkflowRef
from unspool.worker.schedule.operations import current_schedule, wait_until_begun, wait_until_paused
from unspool.worker.service import WorkerService
from unspool.worker.settings import WorkerSettings

ONE = "{on: {one: {with: {type: t}}}, read: envelope}"
PAIR = """{read: envelope, on: {all: [
  {with: {type: a}, correlate: {order: {from: .data.order}}},
  {with: {type: b}, correlate: {order: {from: .data.order}}}]}}"""
ECHO = "do: [{a: {set: '${ . }'}}]\n"


def event(type_: str, id_: Any, data: Any = None) -> CloudEvent:
    return {"specversion": "1.0", "id": str(id_), "source": "/s", "type": type_, "data": data}


async def outputs(store: EventStore, expected: int) -> list[Any]:
    """The outputs of all executions, when so many have completed."""

    records: list[ExecutionRecord] = []

    async def all_completed() -> bool:
        nonlocal records
        records = await executions(store)
        return len(records) >= expected and all(each.status is Status.COMPLETED for each in records)

    await until(all_completed, f"fewer than {expected} executions have completed")
    histories = [await store.history(each.key) for each in records]
    return [history[-1].data["output"] for history in histories]


async def listening(store: EventStore) -> None:
    """Waits until a worker has begun the schedule."""

    async def begun() -> bool:
        return (await state_of(store)).version > 0

    await until(begun, "the schedule did not begin")


async def test_each_event_starts_one_execution(store, jq):
    """Two workers, and every event is published twice."""
    await deployed(store, ONE, tasks=ECHO)
    async with running(store, jq, 2):
        await listening(store)
        events = [event("t", n, n) for n in range(300)]
        for first in range(0, 300, 50):
            part = events[first : first + 50]
            again = [*part, event("u", first)]
            await asyncio.gather(store.publish(TENANT, part), store.publish(TENANT, again))
        found = await outputs(store, 300)
        state = await pause(store)
    assert sorted(each["id"] for [each] in found) == sorted(str(n) for n in range(300))
    assert state.next is None
    assert state.last_execution in {record.key.id for record in await executions(store)}
    assert (await store.dead_letters(TENANT)).items == ()


async def test_events_of_a_batch_are_answered_together(store, jq):
    """One commit for many events, so a schedule that gets many is no bottleneck."""
    await deployed(store, ONE)
    async with running(store, jq):
        await listening(store)
    await store.publish(TENANT, [event("t", n) for n in range(500)])
    async with running(store, jq):
        await until_started(store, 500)
    starts = [each.time for each in await store.history(KEY) if each.type == "occurrence.started"]
    assert len(set(starts)) <= 30
    assert len(await executions(store)) == 500


async def test_workers_come_and_go(store, jq):
    await deployed(store, PAIR, tasks=ECHO)
    async with running(store, jq):
        await listening(store)

    async def publish() -> None:
        for n in range(100):
            await store.publish(TENANT, [event(type_, f"{type_}{n}", {"order": n}) for type_ in "ab"])

    publishing = asyncio.create_task(publish())
    while not publishing.done():
        async with running(store, jq, 2):
            await asyncio.wait([publishing], timeout=0.3)
    async with running(store, jq, 2):
        found = await outputs(store, 100)
    assert sorted(each["data"]["order"] for each, _ in found) == [*range(100)]
    for one, other in found:
        order = one["data"]["order"]
        assert {one["id"], other["id"]} == {f"a{order}", f"b{order}"}


async def test_half_complete_sets_are_kept_over_restarts_and_compactions(store, jq):
    await deployed(store, PAIR, tasks=ECHO)
    for n in range(4):
        async with running(store, jq, 1 + n % 2):
            await listening(store)
            await store.publish(
                TENANT, [event("a", f"a{n}/{m}", {"order": 1000 * n + m}) for m in range(150)]
            )

            async def held(wanted: int = 150 * (n + 1)) -> bool:
                return (await state_of(store)).sets.events == wanted

            await until(held, "events are missing")
    async with running(store, jq):
        await store.publish(TENANT, [event("b", f"b{n}", {"order": 1000 * n}) for n in range(4)])
        found = await outputs(store, 4)
    assert sorted(each["data"]["order"] for each, _ in found) == [0, 1000, 2000, 3000]
    assert (await state_of(store)).sets.events == 596


async def test_a_paused_schedule_and_a_new_version(store, jq):
    await deployed(store, ONE, tasks=ECHO)
    numbers = count()

    async def publish() -> None:
        await store.publish(TENANT, [event("t", next(numbers))])

    async with running(store, jq, 2):
        await listening(store)
        await publish()
        await until_started(store, 1)
        await pause(store)
        await publish()
        await deployed(store, "{on: {one: {with: {type: t}}}, read: data}", "2.0.0")
        await store.send(TENANT, Message(MessageKind.RESUME, KEY.id, {}))
        await wait_until_paused(store, KEY, paused=False)

        async def taken_over() -> bool:
            await publish()
            return (await executions(store))[-1].workflow.version == "2.0.0"

        await until(taken_over, "the new version starts nothing")
        assert await outputs(store, 2)
        await deployed(store, "", "3.0.0")

        async def ended() -> bool:
            return await current_schedule(store, KEY) is None

        await until(ended, "the schedule goes on without a definition")
        starts = [each for each in await store.history(KEY) if each.type == "occurrence.started"]
        await until_started(store, len(starts))  # the last may still be on its way
        await publish()
        await store.wait_for_version(KEY, 10_000, 0.2)
        assert len(await executions(store)) == len(starts)


async def test_a_deployment_waits_until_an_ended_schedule_has_begun_again(store, jq):
    await deployed(store, ONE, tasks=ECHO)
    async with running(store, jq):
        await listening(store)
        await deployed(store, "", "1.0.1", tasks=ECHO)

        async def ended() -> bool:
            return await current_schedule(store, KEY) is None

        await until(ended, "the schedule goes on without a definition")
    await deployed(store, ONE, "1.0.2", tasks=ECHO)
    begun = asyncio.create_task(wait_until_begun(store, TENANT, WorkflowRef("shop", "report", "1.0.2")))
    assert await asyncio.wait([begun], timeout=0.1) == (set(), {begun})  # no worker runs
    async with running(store, jq):
        await begun
        await store.publish(TENANT, [event("t", 1, 1)])
        [[found]] = await outputs(store, 1)
    assert found["id"] == "1"


async def test_events_and_times_start_the_same_workflow(store, jq):
    """Each trigger works alone (inventory C6); what a time starts gets no events (C9)."""
    await deployed(store, "{every: {milliseconds: 50}, on: {one: {with: {type: t}}}}", tasks=ECHO)
    async with running(store, jq, 2):
        await until_started(store, 2)
        await store.publish(TENANT, [event("t", 1, "from an event")])

        async def both() -> bool:
            return [event.task for event in await store.history(KEY)].count("/schedule/on") == 1

        await until(both, "the event started nothing")
        await pause(store)
        found = await outputs(store, 3)
    assert found.count(["from an event"]) == 1
    assert found.count({}) == len(found) - 1


@pytest.mark.parametrize(("settings", "expected"), [({}, None), ({"read": "envelope"}, "Ann")])
async def test_the_example_of_the_specification(store, jq, settings, expected):
    """It reads the envelope, which is not the default (inventory V7)."""
    tasks = "do: [{a: {set: {name: '${ $workflow.input[0].data.patient.name }'}}}]\n"
    await deployed(store, "{on: {one: {with: {type: t}}}}", tasks=tasks)
    async with running(store, jq, **settings):
        await listening(store)
        await store.publish(TENANT, [event("t", 1, {"patient": {"name": "Ann"}})])
        assert await outputs(store, 1) == [{"name": expected}]


async def test_expressions_in_real_jq_do_not_block_the_worker(store, jq):
    filter_ = {"with": {"type": "t", "data": '${ ltrimstr("a") | test("^b+$") }'}}
    await deployed(store, json.dumps({"on": {"one": filter_}}), tasks=ECHO)
    async with running(store, jq):
        await listening(store)
        await store.publish(TENANT, [event("t", 1, "abb"), event("t", 2, "abc")])
        assert await outputs(store, 1) == [["abb"]]


async def test_killed_workers_lose_and_repeat_nothing(store, jq):
    """They stop at any moment, and others take over when their leases end."""
    await deployed(store, PAIR, tasks=ECHO)
    async with running(store, jq):
        await listening(store)

    async def publish() -> None:
        for n in range(60):
            await store.publish(TENANT, [event(type_, f"{type_}{n}", {"order": n}) for type_ in "ab"])
            await asyncio.sleep(0.01)  # so that workers stop in between

    publishing = asyncio.create_task(publish())
    names, began = count(), time.monotonic()
    # Not longer: each second, a message can lose its worker once more, and only three deliveries are allowed.
    while not publishing.done() and time.monotonic() - began < 1.2:
        settings = WorkerSettings(lease_seconds=1)
        workers = [WorkerService(store, jq, settings, f"killed{next(names)}") for _ in range(2)]
        tasks = [asyncio.create_task(worker.run()) for worker in workers]
        await asyncio.wait([publishing], timeout=0.2)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    last = WorkerService(store, jq, WorkerSettings(lease_seconds=1), "last")
    async with asyncio.TaskGroup() as group:
        group.create_task(last.run())
        try:
            found = await outputs(store, 60)
        finally:
            last.stop()
    assert sorted(one["data"]["order"] for one, _ in found) == [*range(60)]
    assert (await state_of(store)).sets.events == 0
    assert (await store.dead_letters(TENANT)).items == ()
