"""Workers that are killed or suspended at chosen moments."""

import asyncio
from collections import Counter

import pytest
from tests.chaos.harness import TENANT, Harness

from unspool.eventstore.records import Message, MessageKind
from unspool.eventstore.redis.session import BLOCK_SECONDS

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(480)]


async def test_messages_of_a_killed_worker_are_taken_over(harness: Harness):
    """It is killed between receiving and committing, and does not start again."""
    await harness.fleet.start("worker-0", "executor-0")
    [key] = await harness.start("thinking")
    await harness.delivered()
    await harness.fleet.kill("worker-0")
    assert await harness.store.history(key) == []
    await harness.fleet.start("worker-1")
    await harness.finish()


async def test_the_late_commit_of_a_suspended_worker_is_refused(harness: Harness):
    """Another worker has cancelled the execution. The late commit leaves no event and no snapshot."""
    await harness.fleet.start("worker-0", "timer-0")
    [key] = await harness.start("pausing")
    await harness.event(key, "timer.scheduled")
    await harness.delivered()
    await harness.fleet.suspend("worker-0", harness.inspection.blocks)
    assert (await harness.store.last_event(key)).type == "timer.scheduled"
    await asyncio.sleep(BLOCK_SECONDS + 0.2)  # a read that began before the suspension takes no message then
    await harness.store.send(TENANT, Message(MessageKind.CANCEL, key.id, {}))
    await harness.fleet.start("worker-1")  # it receives that message before it takes over the other one
    await harness.event(key, "workflow.cancelled")
    assert (await harness.store.execution(key)).version < 10  # the late commit has more events
    await harness.nothing_left()
    harness.fleet.resume("worker-0")
    await harness.fleet.stop()  # gracefully: the late commit comes before the end
    await harness.check(key, "workflow.cancelled")
    assert harness.inspection.leftovers() == {}


async def test_a_new_worker_continues_from_a_snapshot_and_the_events_after_it(harness: Harness):
    """The worker that made the snapshot is killed after more events."""
    await harness.fleet.start("worker-0", "executor-0", "timer-0")
    [key] = await harness.start("growing")
    await harness.event(key, "timer.fired")
    await harness.fleet.kill("worker-0")
    [loaded] = await harness.store.load([key], 100)
    assert 0 < loaded.snapshot.version < loaded.record.version
    await harness.fleet.start("worker-1")
    await harness.finish()


async def test_each_timer_sends_one_message_in_time(harness: Harness):
    """While no worker runs, two timer services fire them."""
    await harness.fleet.start("worker-0", "executor-0")
    keys = await harness.start("retrying", 2)
    for _ in range(5):  # their timers are due one after another
        keys += await harness.start("waiting")
        await asyncio.sleep(0.2)
    due = {}
    for key in keys:
        await harness.event(key, "timer.scheduled")
        [timer] = [e.data for e in await harness.store.history(key) if e.type == "timer.scheduled"]
        due[key.id, timer["timer"]] = timer["dueAt"]
    await harness.fleet.stop("worker-0")
    await harness.fleet.start("timer-0", "timer-1")
    received = await harness.receive(len(keys))
    assert {message.kind for message, _ in received} == {MessageKind.TIMER_FIRED}
    assert Counter((message.execution, message.body["timer"]) for message, _ in received) == Counter(
        due.keys()
    )
    for message, at in received:
        assert at >= due[message.execution, message.body["timer"]]
    await harness.fleet.start("worker-1")
    await harness.finish()
