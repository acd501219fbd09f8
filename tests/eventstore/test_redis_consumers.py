"""How consumers share the work of a Redis store, and who takes over the work of dead ones."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from tests.eventstore.conftest import opened_redis

from unspool.eventstore.consumers import Consumer, Load
from unspool.eventstore.port import CONSUMER_TIMEOUT_SECONDS, HEARTBEAT_SECONDS
from unspool.eventstore.records import ExecutionKey, TaskRequest, Timer
from unspool.eventstore.redis.settings import RedisSettings
from unspool.eventstore.redis.store import RedisStore
from unspool.eventstore.results import Outcome, Renewal


class Clock:
    """A monotonic clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(redis_database, clock) -> AsyncIterator[RedisStore]:
    async with opened_redis(redis_database, clock) as store:
        yield store


@pytest.fixture
async def other(redis_database, clock, store) -> AsyncIterator[RedisStore]:
    async with opened_redis(redis_database, clock) as other:
        yield other


async def wait_until_gone(clock: Clock, watcher: RedisStore, alive: Consumer) -> None:
    """Waits until a consumer without heartbeats counts as gone."""
    for _ in range(int(CONSUMER_TIMEOUT_SECONDS / HEARTBEAT_SECONDS)):
        await watcher.heartbeat(alive)
        await watcher.reclaim_messages(alive, 1, 3600)
        clock.now += HEARTBEAT_SECONDS


async def start_many(store: RedisStore, make, count: int) -> set[str]:
    ids = [f"e{n:03d}" for n in range(count)]
    await asyncio.gather(*(store.start(make.start(make.key(id_))) for id_ in ids))
    return set(ids)


async def test_no_more_than_the_limit_is_taken_from_many_streams(store, make):
    ids = await start_many(store, make, 100)
    taken: list[str] = []

    while messages := await store.receive_messages(make.worker, 7, 0):
        assert len(messages) <= 7
        taken += [message.key.id for message in messages]

    assert sorted(taken) == sorted(ids)


async def test_a_flood_in_one_shard_does_not_keep_the_others_waiting(store, make):
    for _ in range(200):
        await store.send("default", make.message("flooded"))
    await store.send("default", make.message("quiet"))

    first = await store.receive_messages(make.worker, 10, 0)

    assert len(first) == 10
    assert "quiet" in {message.key.id for message in first}


async def test_a_tenants_flood_does_not_keep_the_others_waiting(store, make):
    for n in range(300):
        await store.send("loud", make.message(f"e{n}"))
    await store.send("quiet", make.message("one"))
    received: list[str] = []

    for _ in range(3):
        received += [m.tenant for m in await store.receive_messages(make.worker, 20, 0)]

    assert "quiet" in received


async def test_workers_share_out_the_shards_and_stick_to_them(store, other, clock, make):
    for worker, at in ((make.worker, store), (make.second_worker, other)):
        await at.heartbeat(worker)
    clock.now += HEARTBEAT_SECONDS
    await start_many(store, make, 64)

    first = {m.source for m in await store.receive_messages(make.worker, 1_000, 0.05)}
    second = {m.source for m in await other.receive_messages(make.second_worker, 1_000, 0.05)}

    assert first
    assert second
    assert not first & second


async def test_a_full_worker_owns_no_shards_while_another_is_free(store, other, clock, make):
    await store.heartbeat(make.worker, Load.FULL)
    await other.heartbeat(make.second_worker, Load.FREE)
    clock.now += HEARTBEAT_SECONDS
    await start_many(store, make, 64)

    assert len(await other.receive_messages(make.second_worker, 1_000, 0.05)) == 64


async def test_an_idle_worker_helps_one_that_does_not_get_round_to_its_shards(store, other, make, hands):
    await store.heartbeat(make.worker)
    await other.heartbeat(make.second_worker)
    ids = await start_many(store, make, 32)

    received = await hands.messages(other, 32, make.second_worker)

    assert {message.key.id for message in received} == ids


async def test_deliveries_of_a_dead_worker_are_taken_over(store, other, clock, make, hands):
    await start_many(other, make, 20)
    held = await hands.messages(other, 20, make.second_worker)
    for _ in range(int(CONSUMER_TIMEOUT_SECONDS / HEARTBEAT_SECONDS)):
        await store.heartbeat(make.worker)
        assert await store.reclaim_messages(make.worker, 100, 3600) == []
        clock.now += HEARTBEAT_SECONDS
    taken = await store.reclaim_messages(make.worker, 100, 3600)

    assert {message.key for message in taken} == {message.key for message in held}
    assert {message.attempts for message in taken} == {2}


async def test_a_dead_worker_is_forgotten_and_comes_back_as_new(
    store, other, clock, make, hands, redis_server
):
    await start_many(other, make, 3)
    await hands.messages(other, 3, make.second_worker)
    await wait_until_gone(clock, store, make.worker)
    await store.reclaim_messages(make.worker, 100, 3600)

    with redis_server.admin as admin:
        assert list(admin.hgetall("unspool:members:workers")) == [b"w1"]
        groups = [admin.xinfo_consumers(inbox, "workers") for inbox in admin.keys("*:inbox")]
    assert {consumer["name"] for group in groups for consumer in group} <= {b"w1"}

    await other.heartbeat(make.second_worker)
    await other.send("default", make.message("new"))
    clock.now += HEARTBEAT_SECONDS
    assert [m.key.id for m in await hands.messages(other, 1, make.second_worker)] == ["new"]


async def test_tasks_of_a_dead_executor_reach_others_of_its_queue(store, other, clock, make, hands):
    """The consumer that notices the death does not serve that queue."""
    shell = Consumer("executors", "x9", frozenset({"shell"}))
    await hands.requested(store, make.task(queue="shell"))
    await hands.tasks(other, consumer=shell)
    for _ in range(int(CONSUMER_TIMEOUT_SECONDS / HEARTBEAT_SECONDS) + 2):
        await store.heartbeat(make.executor)
        assert await store.reclaim_tasks(make.executor, 10, 3600) == []
        clock.now += HEARTBEAT_SECONDS

    successor = Consumer("executors", "x10", frozenset({"shell"}))
    [task] = await hands.tasks(store, consumer=successor)

    assert task.attempts == 2


async def test_a_restarted_worker_gets_what_it_held(redis_database, store, make, hands):
    await start_many(store, make, 5)
    await hands.messages(store, 5)

    restarted = RedisStore(redis_database, RedisSettings())
    await restarted.open()
    messages = await hands.messages(restarted, 5)
    await restarted.close()

    assert {message.attempts for message in messages} == {2}


async def test_the_count_of_attempts_survives_release_and_leaving(store, make, hands):
    await store.start(make.start())
    [first] = await hands.messages(store)
    await store.release([first])
    [again] = await hands.messages(store)
    await store.deregister(make.worker)
    [after_leaving] = await hands.messages(store)
    await store.release([after_leaving])
    [last] = await hands.messages(store)

    assert [d.attempts for d in (first, again, after_leaving, last)] == [1, 1, 2, 2]


async def test_unreadable_entries_are_moved_to_their_own_stream(store, make, hands, redis_server, caplog):
    await store.start(make.start())
    with redis_server.admin as admin:
        [inbox] = [name for name in admin.keys("*:inbox") if admin.xlen(name)]
        for payload in (b"\xff\x00", b"{}", b'["start"]', b'[[],"one",{}]', b'["from.the.future","one",{}]'):
            admin.xadd(inbox, {"m": payload})

        received = await hands.messages(store)

        assert [message.key for message in received] == [make.key()]
        assert admin.xlen(inbox.replace(b"inbox", b"unreadable")) == 5
    assert [r.action for r in caplog.records if hasattr(r, "action")] == ["entry_unreadable"] * 5
    assert (await store.dead_letters("default")).items == ()


@pytest.mark.parametrize("kept", [0, 8, 60], ids=["nothing", "its kind", "its beginning"])
async def test_later_events_do_not_wait_for_an_unreadable_one(store, make, hands, redis_server, kept):
    """They wait for an earlier event of the execution, but not for one that was moved away (decision 10)."""
    keys = [await hands.subscribed(store, make.subscription(), key=make.key(id_)) for id_ in ("x", "x.y")]
    await store.publish("default", [make.event(id_) for id_ in "abc"])
    await hands.matched(store)
    with redis_server.admin as admin:
        inbox = store._session.keys.shard(keys[0]).inbox.encode()
        entries = admin.xrange(inbox)
        damaged = next(n for n, (_, fields) in enumerate(entries) if b'"x"' in fields[b"m"])
        for n, (id_, fields) in enumerate(entries):
            admin.xdel(inbox, id_)
            admin.xadd(inbox, {"m": fields[b"m"][:kept] if n == damaged else fields[b"m"]})

        found = await hands.messages(store, 5)

        b, c = (each for each in found if each.key == keys[0])
        assert await store.commit(make.commit(keys[0], after=1, acknowledges=(c,))) is Outcome.EARLY
        assert await store.commit(make.commit(keys[0], after=1, acknowledges=(b, c))) is Outcome.COMMITTED
        first, second, third = (each for each in found if each.key == keys[1])
        assert await store.commit(make.commit(keys[1], after=1, acknowledges=(third,))) is Outcome.EARLY
        everything = make.commit(keys[1], after=1, acknowledges=(first, second, third))
        assert await store.commit(everything) is Outcome.COMMITTED
        assert admin.keys("*:inbox:events") == []


async def test_an_entry_without_its_content_is_passed_over(store, make, hands, redis_server):
    """As after a manual XTRIM."""
    await store.start(make.start())
    await hands.messages(store)
    with redis_server.admin as admin:
        for inbox in admin.keys("*:inbox"):
            admin.xtrim(inbox, 0)
    await store.send("default", make.message())

    [delivery] = await store.reclaim_messages(make.second_worker, 10, 0) or await hands.messages(store)

    assert delivery.body == make.message()


async def test_two_services_fire_each_timer_once(store, other, make, hands):
    keys = [ExecutionKey("default", f"e{n:02d}") for n in range(20)]
    now = await store.now()
    for key in keys:
        await store.start(make.start(key))
        timers = tuple(Timer(f"t{n}", now - n) for n in range(100))
        await store.commit(make.commit(key, timers=timers))
    await store.acknowledge(await hands.messages(store, 20))

    async def service(at: RedisStore) -> int:
        fired = 0
        while count := (await at.fire_due_timers()).count:
            assert count <= 100
            fired += count
        return fired

    counts = await asyncio.gather(*(service(at) for at in (store, other, store)))
    messages = await hands.messages(store, 2_000)

    assert sum(counts) == 2_000
    assert set(Counter((m.key.id, m.body.body["timer"]) for m in messages).values()) == {1}


async def test_timers_of_many_tenants_are_fired(store, make):
    now = await store.now()
    for n in range(6):
        key = make.key(tenant=f"tenant-{n}")
        await store.start(make.start(key))
        await store.commit(make.commit(key, timers=(Timer("t", now - 1), Timer("later", now + 60_000 + n))))

    fired = await store.fire_due_timers()

    assert fired.count == 6
    assert fired.next_due_at == now + 60_000


async def test_after_a_pause_of_redis_no_consumer_counts_as_dead(store, other, clock, make, hands):
    await hands.requested(store, make.task())
    await hands.tasks(other, consumer=make.second_executor)
    await store.heartbeat(make.executor)
    await store.reclaim_tasks(make.executor, 10, 3600)

    clock.now += 10 * CONSUMER_TIMEOUT_SECONDS  # no heartbeat and no read in this time
    assert await store.reclaim_tasks(make.executor, 10, 3600) == []
    for _ in range(5):
        clock.now += HEARTBEAT_SECONDS
        await other.heartbeat(make.second_executor)
        await store.heartbeat(make.executor)
        assert await store.reclaim_tasks(make.executor, 10, 3600) == []

    for _ in range(int(CONSUMER_TIMEOUT_SECONDS / HEARTBEAT_SECONDS) + 1):
        clock.now += HEARTBEAT_SECONDS
        await store.heartbeat(make.executor)
    assert len(await store.reclaim_tasks(make.executor, 10, 3600)) == 1


async def test_a_jump_of_the_clock_of_redis_ends_no_lease_that_is_renewed(
    store, other, clock, make, hands, redis_server
):
    """An idle time set by XCLAIM is what a jump of the server's clock looks like."""
    await hands.requested(store, make.task())
    [task] = await hands.tasks(other, consumer=make.second_executor)
    lease = 5 * HEARTBEAT_SECONDS

    def jump() -> None:
        with redis_server.admin as admin:
            admin.xclaim(task.source, "executors", "x2", 0, [task.id], idle=3_600_000, justid=True)

    for _ in range(20):
        jump()
        assert await store.reclaim_tasks(make.executor, 10, lease) == []
        for executor, at in ((make.executor, store), (make.second_executor, other)):
            await at.heartbeat(executor)
        assert await other.renew_tasks(make.second_executor, [task]) == [Renewal.HELD]
        assert await store.reclaim_tasks(make.executor, 10, lease) == []
        clock.now += HEARTBEAT_SECONDS

    jump()  # from now on the holder is alive and does not renew
    rounds = 0
    while not (taken := await store.reclaim_tasks(make.executor, 10, lease)):
        clock.now += HEARTBEAT_SECONDS
        for executor, at in ((make.executor, store), (make.second_executor, other)):
            await at.heartbeat(executor)
        rounds += 1
        assert rounds <= 6
    assert [(d.body.run, d.attempts) for d in taken] == [("r1", 2)]


@pytest.fixture
async def stores_of_many_tenants(redis_database, make, hands) -> AsyncIterator[tuple[RedisStore, RedisStore]]:
    """Two stores; the first has received a message of each of 40 tenants, so it knows them."""
    async with AsyncExitStack() as closing:
        store, other = (RedisStore(redis_database, RedisSettings()) for _ in range(2))
        for opened in (store, other):
            await opened.open()
            closing.push_async_callback(opened.close)
        for n in range(40):
            await other.send(f"tenant-{n}", make.message())
        await store.acknowledge(await hands.messages(store, 40))
        yield store, other


async def test_with_many_tenants_new_entries_are_announced(stores_of_many_tenants, make):
    """Each kind of entry arrives long before the next read of all streams."""
    store, other = stores_of_many_tenants
    assert await store.receive_tasks(make.executor, 10, 0) == []
    loop = asyncio.get_running_loop()
    delays = []

    async def arrives(receiving, adding) -> None:
        reading = asyncio.ensure_future(receiving)
        await asyncio.wait([reading], timeout=0.02)
        begun = loop.time()
        await adding
        [delivery] = await reading
        delays.append(loop.time() - begun)
        assert delivery.key.tenant == "tenant-7"
        if isinstance(delivery.body, TaskRequest):
            await store.finish_task(delivery, None)
        else:
            await store.acknowledge([delivery])

    for n in range(5):
        key = make.key(f"e{n}", "tenant-7")
        message = store.receive_messages(make.worker, 10, 30)
        await arrives(message, other.start(make.start(key)))
        task = store.receive_tasks(make.executor, 10, 30)
        await arrives(task, other.commit(make.commit(key, tasks=(make.task(execution=key.id),))))
        message = store.receive_messages(make.worker, 10, 30)
        await arrives(message, other.send("tenant-7", make.message(key.id)))
        timers = (Timer("t", await other.now() - 1),)
        await other.commit(make.commit(key, after=1, timers=timers))
        message = store.receive_messages(make.worker, 10, 30)
        await arrives(message, other.fire_due_timers())

    assert sorted(delays)[len(delays) // 2] < HEARTBEAT_SECONDS / 2


async def test_with_many_tenants_deliveries_of_deregistered_consumers_are_announced(
    stores_of_many_tenants, make, hands
):
    """They arrive long before the next read of all streams, also at workers that preferred other shards."""
    store, other = stores_of_many_tenants
    await store.receive_tasks(make.executor, 10, 0)
    loop = asyncio.get_running_loop()
    delays = []

    async def taken_over(receiving, leaver: Consumer) -> list:
        reading = asyncio.ensure_future(receiving)
        await asyncio.wait([reading], timeout=0.1)
        begun = loop.time()
        await other.deregister(leaver)
        deliveries = await reading
        delays.append(loop.time() - begun)
        assert {delivery.attempts for delivery in deliveries} == {2}
        return deliveries

    for n in range(5):
        keys = [make.key(f"e{n}", f"tenant-{tenant}") for tenant in range(10)]
        leaver = Consumer("workers", f"leaver-{n}")
        await other.heartbeat(leaver)
        for key in keys:
            await other.start(make.start(key))
        await hands.messages(other, 10, leaver)
        await asyncio.sleep(HEARTBEAT_SECONDS)  # the other worker knows by then that this one has stopped
        taken = await taken_over(store.receive_messages(make.worker, 100, 30), leaver)
        while len(taken) < 10:
            taken += await store.receive_messages(make.worker, 100, 30)
        await store.acknowledge(taken)
        leaver = Consumer("executors", f"leaver-{n}", frozenset({"http"}))
        await other.commit(make.commit(keys[7], tasks=(make.task(execution=f"e{n}"),)))
        await hands.tasks(other, 1, leaver)
        [task] = await taken_over(store.receive_tasks(make.executor, 10, 30), leaver)
        await store.finish_task(task, None)
    assert sorted(delays)[len(delays) // 2] < HEARTBEAT_SECONDS / 2, delays


async def test_a_worker_with_work_of_its_own_relieves_a_busy_one(store, make):
    """The worker `w1` is alive and takes nothing; the own shards of `w2` are never empty."""
    for worker in (make.worker, make.second_worker):
        await store.heartbeat(worker)
    awaited = {f"e{n}" for n in range(64)}
    for execution in awaited:
        await store.send("default", make.message(execution))
    async with asyncio.timeout(60):
        while awaited:
            await store.heartbeat(make.worker)
            await asyncio.gather(*(store.send("default", make.message(f"more{n}")) for n in range(32)))
            received = await store.receive_messages(make.second_worker, 16, 1)
            await store.acknowledge(received)
            awaited -= {delivery.body.execution for delivery in received}
