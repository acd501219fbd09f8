"""Tasks: by queue, under a lease, cancelled by the workflow (DESIGN §6; fault matrix F3, F14)."""

import asyncio

import pytest

from unspool.eventstore.consumers import Consumer
from unspool.eventstore.port import CONSUMER_TIMEOUT_SECONDS
from unspool.eventstore.results import Renewal


async def test_a_task_goes_to_one_executor_of_its_queue(store, make, hands):
    task = make.task(deadline=9_000, arguments={"body": [1, None, {"a": "ä"}]})
    await hands.requested(store, task, make.task("r2", queue="shell"))

    [delivery] = await hands.tasks(store)

    assert (delivery.tenant, delivery.body, delivery.attempts) == ("default", task, 1)
    assert delivery.body.idempotency_key == "one/r1"
    assert await store.receive_tasks(make.second_executor, 10, 0) == []
    shell = Consumer("executors", "x3", frozenset({"shell", "http", "unused"}))
    assert [d.body.run for d in await hands.tasks(store, 1, shell)] == ["r2"]


async def test_tasks_of_several_queues_come_oldest_first(store, make, hands):
    both = Consumer("executors", "both", frozenset({"http", "shell"}))
    queues = ["http", "shell", "shell", "http", "http"]
    await hands.requested(store, *(make.task(f"r{i}", queue) for i, queue in enumerate(queues)))

    taken = await hands.tasks(store, 5, both)

    for queue in ("http", "shell"):
        runs = [d.body.run for d in taken if d.body.queue == queue]
        assert runs == sorted(runs)


async def test_no_more_than_the_limit_is_taken(store, make, hands):
    both = Consumer("executors", "both", frozenset({"http", "shell"}))
    await hands.requested(store, *(make.task(f"r{i}", q) for q in ("http", "shell") for i in range(3)))

    taken = [len(await store.receive_tasks(both, 2, 0)) for _ in range(5)]

    assert max(taken) == 2
    assert sum(taken) == 6


async def test_an_executor_without_queues_gets_nothing(store, make, hands):
    await hands.requested(store, make.task())

    assert await store.receive_tasks(Consumer("executors", "idle"), 10, 0.05) == []


async def test_receiving_waits_for_a_task(store, make, hands):
    key = await hands.started(store)
    receiving = asyncio.ensure_future(store.receive_tasks(make.executor, 10, 60))
    await asyncio.wait([receiving], timeout=0.05)

    await store.commit(make.commit(key, tasks=(make.task("r0", "shell"), make.task("r1", "http"))))

    async with asyncio.timeout(25):
        assert [d.body.run for d in await receiving] == ["r1"]


async def test_receiving_waits_for_what_another_process_commits(store, other, make, hands):
    key = await hands.started(store)
    receiving = asyncio.ensure_future(store.receive_tasks(make.executor, 10, 60))
    await asyncio.wait([receiving], timeout=0.05)

    await other.commit(make.commit(key, tasks=(make.task(),)))

    async with asyncio.timeout(25):
        assert [d.body.run for d in await receiving] == ["r1"]


async def test_finishing_sends_the_result_and_removes_the_task(store, make, hands):
    await hands.requested(store, make.task())
    [delivery] = await hands.tasks(store)

    await store.finish_task(delivery, make.result(delivery.body, {"paid": True}))

    [answer] = await hands.messages(store)
    assert answer.body == make.result(delivery.body, {"paid": True})
    assert answer.key == delivery.key
    await store.deregister(make.executor)
    assert await hands.nothing_waits(store)


async def test_finishing_twice_sends_one_result(store, make, hands):
    await hands.requested(store, make.task())
    [delivery] = await hands.tasks(store)

    await asyncio.gather(*(store.finish_task(delivery, make.result(delivery.body, n)) for n in range(5)))

    await hands.messages(store, 1)
    assert await hands.nothing_waits(store)


async def test_finishing_without_a_result_only_removes(store, make, hands):
    await hands.requested(store, make.task())
    [delivery] = await hands.tasks(store)

    await store.finish_task(delivery, None)

    await store.deregister(make.executor)
    assert await hands.nothing_waits(store)


async def test_a_late_finish_after_another_executors_sends_nothing(store, make, hands):
    await hands.requested(store, make.task())
    [slow] = await hands.tasks(store)
    [quick] = await hands.gather(1, lambda: store.reclaim_tasks(make.second_executor, 10, 0))

    await store.finish_task(quick, make.result(quick.body, "quick"))
    await store.finish_task(slow, make.result(slow.body, "slow"))

    [answer] = await hands.messages(store, 1)
    assert answer.body.body["output"] == "quick"
    assert await hands.nothing_waits(store)


async def test_a_late_finish_ends_no_other_task(store, make, hands):
    key = await hands.requested(store, make.task("r1"))
    [late] = await hands.tasks(store)
    await store.finish_task(late, None)
    await store.commit(make.commit(key, after=1, tasks=(make.task("r2"),)))
    [held] = await hands.tasks(store)

    await store.finish_task(late, make.result(late.body))

    assert await store.renew_tasks(make.executor, [held]) == [Renewal.HELD]
    assert await hands.nothing_waits(store)


async def test_a_renewed_lease_holds(store, make, hands):
    await hands.requested(store, make.task())
    deliveries = await hands.tasks(store)

    for _ in range(8):
        await store.heartbeat(make.executor)
        assert await store.renew_tasks(make.executor, deliveries) == [Renewal.HELD]
        assert await store.reclaim_tasks(make.second_executor, 10, 2) == []
        await asyncio.sleep(0.3)  # together longer than the lease


async def test_a_lease_that_is_not_renewed_ends(store, make, hands):
    await hands.requested(store, make.task())
    [first] = await hands.tasks(store)

    [again] = await hands.gather(1, lambda: store.reclaim_tasks(make.second_executor, 10, 0.05))

    assert (again.body, again.attempts) == (first.body, 2)
    assert await store.renew_tasks(make.executor, [first]) == [Renewal.LOST]
    assert await store.renew_tasks(make.second_executor, [again]) == [Renewal.HELD]


async def test_the_tasks_of_a_silent_executor_go_to_others(store, adapter, make, hands):
    await hands.requested(store, make.task())
    await hands.tasks(store)
    await store.heartbeat(make.second_executor)
    assert await store.reclaim_tasks(make.second_executor, 10, 600) == []

    adapter.clock.ahead += CONSUMER_TIMEOUT_SECONDS + 1

    async def reclaim():
        await store.heartbeat(make.second_executor)
        return await store.reclaim_tasks(make.second_executor, 10, 600)

    [delivery] = await hands.gather(1, reclaim)
    assert delivery.attempts == 2


async def test_a_cancelled_task_that_waits_is_never_delivered(store, make, hands):
    key = await hands.requested(store, make.task("r1"), make.task("r2"))

    await store.commit(make.commit(key, after=1, tasks_cancelled=("r1", "unknown")))

    assert [d.body.run for d in await hands.tasks(store, 1)] == ["r2"]
    assert await hands.nothing_waits(store)


async def test_a_task_that_is_cancelled_right_after_a_wait_is_never_delivered(store, make, hands):
    waiting = asyncio.create_task(store.receive_tasks(make.executor, 100, 30))
    key = await hands.requested(store, make.task("r1"))
    assert [delivery.body.run for delivery in await waiting] == ["r1"], "this read has emptied the queue"

    await store.commit(make.commit(key, after=1, tasks=(make.task("r2"), make.task("r3"))))
    await store.commit(make.commit(key, after=2, tasks_cancelled=("r2",)))

    assert [delivery.body.run for delivery in await store.receive_tasks(make.executor, 100, 30)] == ["r3"]


async def test_a_cancelled_task_that_runs_is_told_so(store, make, hands):
    key = await hands.requested(store, make.task("r1"), make.task("r2"))
    first, second = sorted(await hands.tasks(store, 2), key=lambda d: d.body.run)

    await store.commit(make.commit(key, after=1, tasks_cancelled=("r2",)))

    assert await store.renew_tasks(make.executor, [second, first]) == [Renewal.CANCELLED, Renewal.HELD]
    await store.finish_task(second, None)
    assert await store.renew_tasks(make.executor, [second, first]) == [Renewal.LOST, Renewal.HELD]
    assert await store.renew_tasks(make.executor, []) == []


@pytest.mark.parametrize("how", ["release", "leave", "reclaim"])
async def test_a_cancelled_task_that_is_given_up_is_not_delivered_again(store, make, hands, how):
    key = await hands.requested(store, make.task())
    taken = await hands.tasks(store)
    await store.commit(make.commit(key, after=1, tasks_cancelled=("r1",)))

    if how == "release":
        await store.release(taken)
    elif how == "leave":
        await store.deregister(make.executor)
    else:
        assert await store.reclaim_tasks(make.second_executor, 10, 0) == []

    assert await hands.nothing_waits(store)
    assert await store.reclaim_tasks(make.second_executor, 10, 0) == []


async def test_a_released_task_comes_again_and_counts_as_no_attempt(store, make, hands):
    await hands.requested(store, make.task())
    taken = await hands.tasks(store)

    await store.release(taken)

    [again] = await hands.tasks(store, 1, make.second_executor)
    assert (again.body, again.attempts) == (taken[0].body, 1)


async def test_tasks_of_a_deregistered_executor_go_to_others_at_once(store, make, hands):
    await hands.requested(store, make.task())
    await hands.tasks(store)

    await store.deregister(make.executor)

    [again] = await hands.tasks(store, 1, make.second_executor)
    assert again.attempts == 2


async def test_queues_are_served_by_live_executors(store, adapter, make):
    async def served(queues) -> None:
        """Waits until these queues are served. A store may cache the answer for one heartbeat."""
        async with asyncio.timeout(60):
            while await store.queues_served() != queues:
                await asyncio.sleep(0.01)

    await served({})
    await store.heartbeat(make.executor)
    await store.heartbeat(Consumer("executors", "x3", frozenset({"shell", "http"})))
    await store.heartbeat(make.worker)
    await served({"http": 2, "shell": 1})

    await store.deregister(Consumer("executors", "x3", frozenset({"shell", "http"})))
    await served({"http": 1})

    adapter.clock.ahead += CONSUMER_TIMEOUT_SECONDS + 1
    await served({})


async def test_a_cancelled_receive_loses_no_task(store, make, hands):
    key = await hands.started(store)
    receiving = asyncio.ensure_future(store.receive_tasks(make.executor, 10, 60))
    await asyncio.wait([receiving], timeout=0.03)
    committing = asyncio.ensure_future(store.commit(make.commit(key, tasks=(make.task(),))))
    await asyncio.wait([receiving], timeout=0.001)
    receiving.cancel()
    [taken] = await asyncio.gather(receiving, return_exceptions=True)
    await committing

    if isinstance(taken, asyncio.CancelledError):
        taken = await hands.tasks(store)
    assert [d.body.run for d in taken] == ["r1"]


async def test_a_consumer_takes_over_only_tasks_of_queues_it_serves(store, make, hands):
    await hands.requested(store, make.task("r1", "grpc"), make.task("r2", "http"))
    both = Consumer("executors", "both", frozenset({"grpc", "http"}))
    assert len(await store.receive_tasks(both, 10, 0)) == 2
    await store.heartbeat(both)

    http = Consumer("executors", "http", frozenset({"http"}))
    [taken] = await store.reclaim_tasks(http, 10, 0)
    assert taken.body.run == "r2"
    [left] = await store.reclaim_tasks(Consumer("executors", "grpc", frozenset({"grpc"})), 10, 0)
    assert left.body.run == "r1"


async def test_many_tasks_of_a_tenant_do_not_delay_others(store, make, hands):
    for tenant, count in (("busy", 300), ("calm", 1)):
        key = await hands.started(store, make.key("one", tenant))
        await store.commit(make.commit(key, tasks=tuple(make.task(f"r{n}") for n in range(count))))

    received = set()
    for _ in range(5):
        received |= {delivery.tenant for delivery in await store.receive_tasks(make.executor, 20, 5)}

    assert received == {"busy", "calm"}
