"""Workers that are killed or suspended at chosen moments."""

from collections import Counter

import pytest
from tests.chaos.harness import TENANT, Harness

from unspool.eventstore.records import Message, MessageKind

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(180)]


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
    """Another worker takes its message over and cancels the execution. It leaves no event and no snapshot."""
    await harness.fleet.start("worker-0", "timer-0")
    [key] = await harness.start("pausing")
    await harness.event(key, "timer.scheduled")
    await harness.delivered()
    await harness.fleet.suspend("worker-0", harness.inspection.blocks)
    assert (await harness.store.last_event(key)).type == "timer.scheduled"
    await harness.store.send(TENANT, Message(MessageKind.CANCEL, key.id, {}))
    await harness.fleet.start("worker-1")
    await harness.event(key, "workflow.cancelled")
    await harness.nothing_left()
    harness.fleet.resume("worker-0")
    await harness.fleet.stop()  # gracefully: the late commit comes before the end
    await harness.check(key, "workflow.cancelled")
    assert harness.inspection.leftovers() == {}


async def test_each_timer_sends_one_message_in_time(harness: Harness):
    """While no worker runs, two timer services fire them."""
    await harness.fleet.start("worker-0", "executor-0")
    keys = [*await harness.start("waiting", 5), *await harness.start("retrying", 2)]
    for key in keys:
        await harness.event(key, "timer.scheduled")
    await harness.fleet.stop("worker-0")
    await harness.fleet.start("timer-0", "timer-1")
    await harness.eventually(
        lambda: not any("timers" in place for place in harness.inspection.leftovers()), "timers do not fire"
    )
    sent = Counter((message.kind, message.execution) for message in await harness.messages())
    assert sent == Counter((MessageKind.TIMER_FIRED, key.id) for key in keys)
    await harness.fleet.start("worker-1")
    await harness.finish()
