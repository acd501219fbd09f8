"""Executors that are killed, stopped or suspended while they run tasks."""

import asyncio
from collections import Counter

import pytest
from tests.chaos.harness import TENANT, Harness

from unspool.eventstore.records import Message, MessageKind

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(480)]

CALLS = 6


async def held_calls(harness: Harness, times: int) -> None:
    """Waits until each call has arrived so many times."""
    await harness.eventually(
        lambda: sorted(Counter(harness.ledger.arrivals.to("held")).values()) == [times] * CALLS,
        f"not all calls are made {times} times: {harness.ledger.arrivals}",
    )


async def test_tasks_of_killed_and_stopped_executors_run_again(harness: Harness):
    """One is killed between effect and result, another one stops before its tasks end."""
    await harness.fleet.start("worker-0", "executor-0")
    await harness.start("holding", CALLS)
    await held_calls(harness, 1)
    await harness.fleet.kill("executor-0")
    await harness.fleet.start("executor-1")
    await held_calls(harness, 2)
    await harness.fleet.stop("executor-1")
    await harness.fleet.start("executor-2")
    await held_calls(harness, 3)
    harness.ledger.gate.set()
    await harness.finish()
    assert max(Counter(harness.ledger.arrivals.to("book")).values()) == 1


async def test_the_task_of_a_cancelled_execution_does_not_run_again(harness: Harness):
    """Its executor is killed while it runs the task; then the execution is cancelled."""
    await harness.fleet.start("worker-0", "executor-0")
    keys = await harness.start("holding", CALLS)
    await held_calls(harness, 1)
    await harness.fleet.kill("executor-0")
    for key in keys:
        await harness.store.send(TENANT, Message(MessageKind.CANCEL, key.id, {}))
    for key in keys:
        await harness.event(key, "workflow.cancelled")
    await harness.fleet.start("executor-1")
    await harness.nothing_left()
    await harness.fleet.stop()
    await held_calls(harness, 1)
    assert harness.ledger.arrivals.to("book") == []
    for key in keys:
        await harness.check(key, "workflow.cancelled")


async def test_each_task_runs_once_while_its_executor_lives_and_sends_one_result(harness: Harness):
    """Calls last longer than the lease. Then one executor is suspended and ends its calls late."""
    await harness.fleet.start("worker-0", "executor-0")
    await harness.start("holding", CALLS)
    await held_calls(harness, 1)
    await harness.fleet.start("executor-1", "executor-2")
    await asyncio.sleep(11)  # a lease of 3 s ends in this time, if it is not renewed, and is noticed
    await held_calls(harness, 1)
    await harness.fleet.stop("worker-0")
    await harness.fleet.suspend("executor-0", harness.inspection.blocks)
    await held_calls(harness, 2)
    harness.ledger.gate.set()
    await harness.eventually(
        lambda: not any("tasks" in place for place in harness.inspection.leftovers()), "tasks do not end"
    )
    harness.fleet.resume("executor-0")
    await harness.fleet.stop("executor-0")
    received = await harness.receive(CALLS)
    results = Counter((message.kind, message.execution) for message, _ in received)
    assert results == Counter((MessageKind.TASK_COMPLETED, key.id) for key in harness.programs)
    await harness.fleet.start("worker-1")
    await harness.finish()
