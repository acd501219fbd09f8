"""The inbox: each message to one consumer at a time, at least once, never lost (fault matrix F1, F8, F13)."""

import asyncio
import time

import pytest

from unspool.eventstore.consumers import EXECUTORS, Consumer, Load
from unspool.eventstore.port import CONSUMER_TIMEOUT_SECONDS, HEARTBEAT_SECONDS


async def test_a_message_goes_to_one_consumer(store, make, hands):
    await store.send("default", make.message(n=1))

    [delivery] = await hands.messages(store)

    assert (delivery.tenant, delivery.body, delivery.attempts) == ("default", make.message(n=1), 1)
    assert delivery.key == make.key()
    assert await store.receive_messages(make.second_worker, 10, 0) == []


async def test_messages_of_an_execution_come_in_order(store, make, hands):
    for n in range(20):
        await store.send("default", make.message(n=n))

    taken = await hands.messages(store, 20)

    assert [delivery.body.body["n"] for delivery in taken] == [*range(20)]


@pytest.mark.parametrize("limit", [1, 3, 20])
async def test_messages_come_in_order_after_a_wait_and_with_a_small_limit(store, make, limit):
    for before in (limit, 100):
        assert await store.receive_messages(make.worker, before, 0.01) == [], "it has waited in vain"
    for number in range(4):
        for execution in range(16):
            await store.send("default", make.message(str(execution), number=number))

    found: dict[str, list[int]] = {}
    async with asyncio.timeout(60):
        while sum(map(len, found.values())) < 64:
            deliveries = await store.receive_messages(make.worker, limit, 0.1)
            assert len(deliveries) <= limit
            for delivery in deliveries:
                found.setdefault(delivery.body.execution, []).append(delivery.body.body["number"])
            await store.acknowledge(deliveries)

    assert set(map(tuple, found.values())) == {(0, 1, 2, 3)}


async def test_no_more_than_the_limit_is_taken(store, make):
    for n in range(5):
        await store.send("default", make.message(n=n))

    taken = [len(await store.receive_messages(make.worker, 2, 0)) for _ in range(5)]

    assert max(taken) == 2
    assert sum(taken) == 5


async def test_consumers_share_the_work_without_sharing_a_message(store, other, make):
    await asyncio.gather(*(store.send("default", make.message(f"e{n}", n=n)) for n in range(60)))

    async def take(of, consumer, into):
        while len(seen) < 60:
            into += await of.receive_messages(consumer, 3, 0.05)

    seen: list = []
    async with asyncio.timeout(25):
        await asyncio.gather(take(store, make.worker, seen), take(other, make.second_worker, seen))
    assert sorted(delivery.body.body["n"] for delivery in seen) == [*range(60)]


async def test_receiving_waits_for_the_first(store, make):
    receiving = asyncio.ensure_future(store.receive_messages(make.worker, 10, 60))
    await asyncio.wait([receiving], timeout=0.05)

    await store.send("default", make.message())

    async with asyncio.timeout(25):
        assert [d.body for d in await receiving] == [make.message()]


async def test_receiving_waits_for_what_another_process_sends(store, other, make):
    receiving = asyncio.ensure_future(store.receive_messages(make.worker, 10, 60))
    await asyncio.wait([receiving], timeout=0.05)

    await other.send("default", make.message())

    async with asyncio.timeout(25):
        assert [d.body for d in await receiving] == [make.message()]


async def test_receiving_ends_with_nothing(store, make):
    begun = time.monotonic()

    assert await store.receive_messages(make.worker, 10, 0.2) == []

    assert 0.15 < time.monotonic() - begun < 60


async def test_acknowledged_messages_are_gone(store, make, hands):
    await store.send("default", make.message(n=1))
    taken = await hands.messages(store)

    await store.acknowledge(taken)
    await store.acknowledge(taken)
    await store.acknowledge([])

    await store.deregister(make.worker)
    assert await hands.nothing_waits(store)


async def test_a_late_acknowledgement_removes_nothing_else(store, make, hands):
    await store.send("default", make.message(n=1))
    late = await hands.messages(store)
    await store.acknowledge(late)
    await store.send("default", make.message(n=2))
    await hands.messages(store)

    await store.acknowledge(late)

    await store.deregister(make.worker)
    assert [d.body.body["n"] for d in await hands.messages(store)] == [2]


async def test_a_released_message_comes_again_and_counts_as_no_attempt(store, make, hands):
    for n in range(3):
        await store.send("default", make.message(n=n))
    taken = await hands.messages(store, 3)
    await store.acknowledge(taken[:1])

    await store.release(taken[1:])

    again = await hands.messages(store, 2, make.second_worker)
    assert [(d.body.body["n"], d.attempts) for d in again] == [(1, 1), (2, 1)]


async def test_release_wakes_a_waiting_consumer(store, make, hands):
    await store.send("default", make.message())
    taken = await hands.messages(store)
    receiving = asyncio.ensure_future(store.receive_messages(make.second_worker, 10, 60))
    await asyncio.wait([receiving], timeout=0.05)

    await store.release(taken)

    async with asyncio.timeout(25):
        assert len(await receiving) == 1


async def test_a_late_release_takes_nothing_from_the_new_holder(store, make, hands):
    await store.send("default", make.message())
    late = await hands.messages(store)
    [held] = await hands.gather(1, lambda: store.reclaim_messages(make.second_worker, 10, 0))

    await store.release(late)

    assert held.attempts == 2
    assert await hands.nothing_waits(store)


async def test_messages_of_a_live_consumer_are_not_reclaimed(store, make, hands):
    await store.send("default", make.message())
    await hands.messages(store)

    assert await store.reclaim_messages(make.second_worker, 10, 60) == []


async def test_messages_held_longer_than_the_lease_are_reclaimed(store, make, hands):
    await store.send("default", make.message())
    [first] = await hands.messages(store)

    [again] = await hands.gather(1, lambda: store.reclaim_messages(make.second_worker, 10, 0.05))

    assert (again.body, again.attempts) == (first.body, 2)
    assert await store.reclaim_messages(make.worker, 10, 60) == []


async def test_the_messages_of_a_silent_consumer_go_to_others(store, adapter, make, hands):
    await store.send("default", make.message())
    await store.heartbeat(make.worker)
    await hands.messages(store)
    await store.heartbeat(make.second_worker)
    assert await store.reclaim_messages(make.second_worker, 10, 600) == []

    adapter.clock.ahead += CONSUMER_TIMEOUT_SECONDS - 2
    await store.heartbeat(make.second_worker)
    assert await store.reclaim_messages(make.second_worker, 10, 600) == []
    adapter.clock.ahead += 3
    await store.heartbeat(make.second_worker)

    async def reclaim():
        await asyncio.sleep(0.02)
        await store.heartbeat(make.second_worker)
        return await store.reclaim_messages(make.second_worker, 10, 600)

    [delivery] = await hands.gather(1, reclaim)
    assert delivery.attempts == 2


async def test_a_beat_keeps_a_consumer_alive(store, adapter, make, hands):
    await store.send("default", make.message())
    await hands.messages(store)
    await store.heartbeat(make.worker)
    assert await store.reclaim_messages(make.second_worker, 10, 600) == []

    for _ in range(4):
        adapter.clock.ahead += CONSUMER_TIMEOUT_SECONDS - 2
        await store.heartbeat(make.worker)
        await store.heartbeat(make.second_worker)
        assert await store.reclaim_messages(make.second_worker, 10, 600) == []


async def test_messages_of_a_deregistered_consumer_go_to_others_at_once(store, make, hands):
    await store.send("default", make.message())
    await hands.messages(store)

    await store.deregister(make.worker)

    [delivery] = await hands.messages(store, 1, make.second_worker)
    assert delivery.attempts == 2


async def test_a_consumer_may_come_back(store, make, hands):
    await store.deregister(make.worker)
    await store.send("default", make.message())

    await hands.messages(store, 1)
    await store.deregister(make.worker)
    await hands.messages(store, 1)

    assert await store.reclaim_messages(make.second_worker, 10, 60) == []


@pytest.mark.parametrize("pause", [0, 0.001, 0.003, 0.02])
async def test_a_cancelled_receive_loses_nothing(store, make, hands, pause):
    receiving = asyncio.ensure_future(store.receive_messages(make.worker, 10, 60))
    await asyncio.wait([receiving], timeout=0.03)
    sending = asyncio.ensure_future(store.send("default", make.message()))
    await asyncio.wait([receiving], timeout=pause)
    receiving.cancel()
    [taken] = await asyncio.gather(receiving, return_exceptions=True)
    await sending

    if isinstance(taken, asyncio.CancelledError):
        [delivery] = await hands.messages(store)
        assert delivery.body == make.message()
    else:
        assert len(taken) == 1


async def test_messages_that_are_held_keep_their_lease(store, make, hands):
    await store.send("default", make.message(n=1))
    await store.send("default", make.message(n=2))
    held = await hands.messages(store, 2)
    [kept] = [delivery for delivery in held if delivery.body.body == {"n": 1}]

    taken = []
    async with asyncio.timeout(60):
        while not taken:
            await store.heartbeat(make.worker)
            await store.renew_messages(make.worker, [kept])
            taken = await store.reclaim_messages(make.second_worker, 10, 2)
            await asyncio.sleep(0.02)
    assert [delivery.body.body for delivery in taken] == [{"n": 2}]

    await store.renew_messages(make.worker, taken)  # another consumer holds it and keeps it
    await store.release(taken)
    assert [d.body.body for d in await hands.messages(store, 1, make.second_worker)] == [{"n": 2}]


async def test_messages_of_skipped_tenants_stay(store, make, hands):
    for tenant in ("busy", "calm"):
        for n in range(3):
            await store.send(tenant, make.message(f"e{n}"))

    async def receive(skip):
        return await store.receive_messages(make.worker, 10, 0.1, frozenset(skip))

    calm = await hands.gather(3, lambda: receive({"busy"}))
    assert {delivery.tenant for delivery in calm} == {"calm"}
    assert await receive({"busy"}) == []
    busy = await hands.gather(3, lambda: receive(()))
    assert {delivery.tenant for delivery in busy} == {"busy"}


async def test_receiving_wakes_for_a_tenant_that_is_not_skipped(store, make):
    await store.send("busy", make.message())
    skip = frozenset({"busy"})
    assert await store.receive_messages(make.worker, 10, 0, skip) == []
    await store.send("calm", make.message())
    receiving = asyncio.ensure_future(store.receive_messages(make.worker, 10, 60, skip))

    async with asyncio.timeout(25):
        assert [d.tenant for d in await receiving] == ["calm"]


async def test_many_messages_of_a_tenant_do_not_delay_others(store, make):
    await asyncio.gather(*(store.send("busy", make.message(f"e{n}")) for n in range(300)))
    await store.send("calm", make.message())

    received = set()
    for _ in range(5):
        received |= {delivery.tenant for delivery in await store.receive_messages(make.worker, 20, 5)}

    assert received == {"busy", "calm"}


async def test_messages_that_are_given_back_go_to_another_consumer(store, make, hands):
    for n in range(3):
        await store.send("default", make.message(n=n))
    taken = await hands.messages(store, 3)
    await store.acknowledge(taken[:1])

    assert await store.give_back(taken) == []

    again = await hands.messages(store, 2, make.second_worker)
    assert [(d.body.body["n"], d.attempts) for d in again] == [(1, 1), (2, 1)]


async def test_no_message_is_given_back_behind_a_newer_one(store, make, hands):
    await store.send("default", make.message(n=1))
    taken = await hands.messages(store)
    await store.send("default", make.message(n=2))

    kept = await store.give_back(taken)

    received = await hands.messages(store, 2 - len(kept), make.second_worker)
    assert [d.body.body["n"] for d in (*kept, *received)] == [1, 2]


async def test_the_number_of_other_free_consumers(store, adapter, make):
    await store.heartbeat(make.executor)
    await store.heartbeat(make.worker, Load.FREE)
    assert await store.others_free(make.worker) == 0
    for load, free in ((Load.FREE, 1), (Load.BUSY, 0), (Load.FULL, 0), (Load.FREE, 1)):
        await store.heartbeat(make.second_worker, load)
        adapter.clock.ahead += HEARTBEAT_SECONDS
        await store.heartbeat(make.worker, Load.FULL)
        assert await store.others_free(make.worker) == free
    for _ in range(int(CONSUMER_TIMEOUT_SECONDS / HEARTBEAT_SECONDS) + 1):
        adapter.clock.ahead += HEARTBEAT_SECONDS
        await store.heartbeat(make.worker)
    assert await store.others_free(make.worker) == 0


async def test_a_free_consumer_without_a_queue_of_another_one_cannot_relieve_it(store, adapter):
    mine = Consumer(EXECUTORS, "x1", frozenset({"http", "call"}))
    for name, queues in (("x2", {"http"}), ("x3", {"gpu"}), ("x4", {"call", "gpu", "http"})):
        await store.heartbeat(Consumer(EXECUTORS, name, frozenset(queues)), Load.FREE)
    adapter.clock.ahead += HEARTBEAT_SECONDS
    await store.heartbeat(mine)
    assert await store.others_free(mine) == 1
    assert await store.others_free(Consumer(EXECUTORS, "x5")) == 4


async def test_the_first_entries_of_new_tenants_are_delivered_at_once(store, other, make):
    """Consumers that wait learn of a tenant when it is added: ten of them do not take ten seconds."""
    key = make.key("one", "default")
    await other.start(make.start(key))
    await store.acknowledge(await store.receive_messages(make.worker, 10, 5))

    async def arrives(receiving) -> None:
        async with asyncio.timeout(25):
            while not (found := await receiving()):
                pass
        await store.acknowledge(found)

    delays = []
    for n in range(10):
        key = make.key("one", f"new-{n}")
        receiving = [
            asyncio.create_task(arrives(lambda: store.receive_messages(make.worker, 10, 30))),
            asyncio.create_task(arrives(lambda: store.receive_tasks(make.executor, 10, 30))),
        ]
        await asyncio.wait(receiving, timeout=0.02)
        began = time.monotonic()
        await other.start(make.start(key))
        await receiving[0]
        await other.commit(make.commit(key, tasks=(make.task(),)))
        await receiving[1]
        delays.append(time.monotonic() - began)

    assert sorted(delays)[len(delays) // 2] < 0.6, delays
