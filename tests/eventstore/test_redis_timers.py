"""Timers of many tenants on Redis: only shards with due timers are read, and no timer is lost."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from tests.eventstore.conftest import opened_redis

from unspool.eventstore.records import ExecutionKey, Timer
from unspool.eventstore.redis.codec import encode_timer
from unspool.eventstore.redis.settings import RedisSettings
from unspool.eventstore.redis.store import RedisStore

TENANTS = [f"tenant-{number}" for number in range(500)]
HOUR = 3_600_000


@pytest.fixture
async def store(redis_database, stopwatch) -> AsyncIterator[RedisStore]:
    """A store with 500 tenants."""
    async with opened_redis(redis_database, stopwatch) as store:
        yield store


@pytest.fixture
async def other(redis_database, store) -> AsyncIterator[RedisStore]:
    async with opened_redis(redis_database) as other:
        yield other


@pytest.fixture
async def keys(store, make) -> list[ExecutionKey]:
    """One started execution of each tenant, whose message was received."""
    keys = [make.key("one", tenant) for tenant in TENANTS]
    await asyncio.gather(*(store.start(make.start(key)) for key in keys))
    await take(store, make, len(keys))
    return keys


async def take(store, make, count: int) -> list[tuple[ExecutionKey, dict]]:
    """Receives and acknowledges exactly so many messages."""
    taken = []
    async with asyncio.timeout(60):
        while len(taken) < count:
            deliveries = await store.receive_messages(make.worker, 500, 1)
            await store.acknowledge(deliveries)
            taken += [(delivery.key, delivery.body.body) for delivery in deliveries]
    assert await store.receive_messages(make.worker, 500, 0) == []
    assert len(taken) == count
    return taken


async def fire_all(store) -> int:
    """Fires until nothing is due."""
    fired = 0
    async with asyncio.timeout(60):
        while True:
            last = await store.fire_due_timers()
            assert last.count <= 100
            fired += last.count
            if last.count == 0 and (last.next_due_at is None or last.next_due_at > await store.now()):
                return fired


def add_timer(redis_server, key: ExecutionKey, due_at: int) -> None:
    """Sets a timer as a commit does whose notification is lost."""
    with redis_server.admin as admin:
        (execution,) = admin.keys(f"*{{{key.tenant}:*}}:execution:{key.id}")
        timers = execution.decode().partition(":execution:")[0] + ":timers"
        admin.zadd(timers, {encode_timer(key.id, "unknown"): due_at})


async def test_timers_of_all_tenants_fire_once_and_never_early(store, other, keys, make):
    now = await store.now()
    due = {key: now + 10 * (number % 50) for number, key in enumerate(keys)}

    async def set_timers() -> None:
        for key in keys:
            timers = (Timer("t", due[key]), Timer("later", now + HOUR))
            await other.commit(make.commit(key, timers=timers))

    async def fire(at) -> int:
        fired = 0
        while not setting.done() or (await at.fire_due_timers()).next_due_at < now + HOUR:
            fired += (await at.fire_due_timers()).count
        return fired

    setting = asyncio.ensure_future(set_timers())
    async with asyncio.timeout(60):
        await asyncio.gather(setting, fire(store), fire(other))

    messages = await take(store, make, len(keys))
    assert Counter(key for key, body in messages if body == {"timer": "t"}) == Counter(keys)
    assert (await store.fire_due_timers()).next_due_at == now + HOUR


async def test_a_timer_is_never_fired_early(store, other, keys, make):
    await store.fire_due_timers()
    due_at = await store.now() + 300
    await other.commit(make.commit(keys[7], timers=(Timer("t", due_at),)))
    async with asyncio.timeout(60):
        while (fired := await store.fire_due_timers()).count == 0:
            assert fired.next_due_at == due_at
    assert await store.now() >= due_at


async def test_only_shards_with_due_timers_are_asked(store, other, keys, make, redis_server):
    await store.fire_due_timers()

    def reads() -> int:
        with redis_server.admin as admin:
            return admin.info("commandstats")["cmdstat_zrange"]["calls"]

    asked = []
    for key in keys[:20]:
        await other.commit(make.commit(key, timers=(Timer("t", 1),)))
        before = reads()
        assert (await store.fire_due_timers()).count == 1
        asked.append(reads() - before)
    assert min(asked) == 2, "of 8 000 shards, one is read twice: how late its timer was, and its next one"


async def test_a_flood_of_one_tenant_does_not_delay_timers_of_others(store, other, keys, make):
    await store.fire_due_timers()
    await other.commit(make.commit(keys[0], timers=tuple(Timer(f"t{n}", 1) for n in range(500))))
    for key in keys[1:4]:
        await other.commit(make.commit(key, timers=(Timer("t", 2),)))
    assert (await store.fire_due_timers()).count == 100
    assert (await store.fire_due_timers()).count == 100
    tenants = {key.tenant for key, _ in await take(store, make, 200)}
    assert tenants == {key.tenant for key in keys[:4]}
    assert await fire_all(store) == 303


async def test_a_shard_that_is_read_again_keeps_its_turn(store, other, keys, make, stopwatch):
    """Each shard is read every ten seconds, in case a notification was lost."""
    await store.fire_due_timers()
    await other.commit(make.commit(keys[0], timers=tuple(Timer(f"t{n}", 1) for n in range(500))))
    for key in keys[1:4]:
        await other.commit(make.commit(key, timers=(Timer("t", 2),)))
    for _ in range(2):
        assert (await store.fire_due_timers()).count == 100
        stopwatch.ahead += 11
    tenants = {key.tenant for key, _ in await take(store, make, 200)}
    assert tenants == {key.tenant for key in keys[:4]}


async def test_a_timer_whose_notification_was_lost_fires_later(store, keys, stopwatch, redis_server):
    await store.fire_due_timers()
    for key in (keys[0], keys[250], keys[499]):
        add_timer(redis_server, key, 1)
    fired = 0
    for _ in range(40):
        stopwatch.ahead += 0.5
        fired += await fire_all(store)
    assert fired == 3


async def test_a_lost_notification_in_a_store_of_few_shards(redis_database, stopwatch, redis_server, make):
    store = RedisStore(redis_database, RedisSettings(shards=1), monotonic=stopwatch)
    await store.open()
    keys = [make.key("one", tenant) for tenant in TENANTS[:10]]
    for key in keys:
        await store.start(make.start(key))
    await store.fire_due_timers()
    for key in keys:
        add_timer(redis_server, key, 1)
    fired = 0
    for _ in range(110):
        stopwatch.ahead += 0.11
        fired += await fire_all(store)
    assert fired == 10
    await store.close()


async def test_all_shards_are_read_after_the_connection_was_lost(store, keys, redis_server):
    await store.fire_due_timers()
    with redis_server.admin as admin:
        admin.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    add_timer(redis_server, keys[100], 1)
    async with asyncio.timeout(25):
        await store.wait_for_timers(60)
    assert await fire_all(store) == 1


async def test_a_notification_of_release_0_1_does_not_name_the_shard(store, keys, redis_server):
    await store.fire_due_timers()
    add_timer(redis_server, keys[100], 1)
    with redis_server.admin as admin:
        admin.publish("unspool:timers", "earlier")
    assert await fire_all(store) == 1


async def test_later_timers_do_not_end_a_wait(store, other, keys, make):
    due_at = await store.now() + HOUR
    await other.commit(make.commit(keys[0], timers=(Timer("t", due_at),)))
    assert (await store.fire_due_timers()).next_due_at == due_at
    waiting = asyncio.ensure_future(store.wait_for_timers(60))
    await other.commit(make.commit(keys[1], timers=(Timer("t", due_at + 1),)))
    await store.ping()
    await asyncio.wait([waiting], timeout=0.1)
    assert not waiting.done()
    await other.commit(make.commit(keys[2], timers=(Timer("t", due_at - 1),)))
    async with asyncio.timeout(25):
        await waiting
    assert (await store.fire_due_timers()).next_due_at == due_at - 1
