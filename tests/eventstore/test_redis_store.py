"""Names, settings and limits of the Redis adapter."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from unspool.eventstore.errors import StoreMismatch, StoreUnavailable
from unspool.eventstore.event_settings import EventSettings
from unspool.eventstore.listing import ExecutionFilter
from unspool.eventstore.published_events import Subscription
from unspool.eventstore.records import ExecutionKey, IndexUpdate, Parent, Status, Timer
from unspool.eventstore.redis.settings import RedisSettings
from unspool.eventstore.redis.store import RedisStore

SLEEPERS = 2_000


@pytest.fixture
async def store(redis_database) -> AsyncIterator[RedisStore]:
    store = RedisStore(redis_database, RedisSettings())
    await store.open()
    yield store
    await store.close()


@pytest.mark.parametrize("tenant", ["a}:{b", "{}", "", "a b", "a:1", "ä", "a\n", "x" * 64])
async def test_no_tenant_reaches_out_of_the_hash_tag(store, make, tenant, redis_server):
    with redis_server.admin as admin:
        before = admin.keys("*")
        key = ExecutionKey(tenant, "one")

        with pytest.raises(ValueError, match="tenant"):
            await store.start(make.start(key))
        with pytest.raises(ValueError, match="tenant"):
            await store.send(tenant, make.message())
        with pytest.raises(ValueError, match="tenant"):
            await store.put_definition(tenant, make.definition("1.0.0"))
        with pytest.raises(ValueError, match="tenant"):
            await store.history(key)

        assert admin.keys("*") == before


async def test_starts_at_once_read_the_tenants_once(redis_database, make, redis_server, stopwatch):
    store = RedisStore(redis_database, RedisSettings(), monotonic=stopwatch)
    await store.open()

    def reads():
        with redis_server.admin as admin:
            return admin.info("commandstats").get("cmdstat_smembers", {"calls": 0})["calls"]

    try:
        await store.start(make.start(make.key("first")))
        before = reads()
        stopwatch.ahead = 1_000  # what is known about tenants is old

        await asyncio.gather(*(store.start(make.start(make.key(f"e{number}"))) for number in range(20)))

        assert 1 <= reads() - before < 10  # one for each second that a busy machine needs
    finally:
        await store.close()


@pytest.mark.parametrize("id_", ["", "x}:{y", "a/b", "a b", "a\r\nSET x 1", "ä", "one\n", "x" * 129])
async def test_ids_that_no_execution_can_have(store, make, id_):
    with pytest.raises(ValueError, match="execution id"):
        await store.start(make.start(make.key(id_)))


async def test_every_key_of_a_shard_has_one_hash_tag(store, make, hands, redis_server):
    key = await hands.requested(store, make.task(queue="a}:{b"))
    await store.commit(make.commit(key, after=1, timers=(make.timer(),)))

    with redis_server.admin as admin:
        names = [name.decode() for name in admin.keys("*")]
    shared = {"unspool:meta", "unspool:members:workers", "unspool:members:executors"}
    assert {name.split("{")[1].split("}")[0].split(":")[0] for name in names if name not in shared} == {
        "default"
    }
    tags = {name.split("}")[0] for name in names if key.id in name.split(":")}
    assert len(tags) == 1


async def test_look_backs_of_an_earlier_release_are_served(redis_database, make, hands, redis_server):
    """They have no place, so what was accepted until now is not offered. Its places are whole numbers."""
    store = RedisStore(redis_database, RedisSettings(), events=EventSettings(retention_seconds=3_600))
    await store.open()
    await store.publish("default", [make.event("a"), make.event("b"), make.event("c")])
    await hands.matched(store)
    looking_back = Subscription("r1", (make.entry(type="paid"),), look_back=True)
    key = await hands.subscribed(store, looking_back)
    await store.commit(make.commit(key, after=1, consumed=(make.event("a"), make.event("b"))))
    with redis_server.admin as admin:
        [look_backs] = admin.keys("*:lookbacks")
        [(run, note)] = admin.hgetall(look_backs).items()
        after, upto, _ = note.split(b" ", 2)
        admin.hset(look_backs, run, b'%b %b ["type","type=paid"]' % (after, upto))
        [accepted] = admin.keys("*:accepted")
        for member, place in admin.zrange(accepted, 0, -1, withscores=True):
            admin.zadd(accepted, {member: int(place)})

    await store.commit(make.commit(key, after=2, subscriptions=(looking_back._replace(run="r2"),)))

    assert await hands.matched(store) == 2
    assert sorted(await hands.events(store, 2)) == [(key.id, "r1", "c"), (key.id, "r2", "c")]
    await store.close()


@pytest.mark.parametrize("scheme", ["redis+cluster", "redis+sentinel", "http"])
async def test_urls_of_other_kinds_are_refused(scheme):
    store = RedisStore(f"{scheme}://127.0.0.1:1/0", RedisSettings())

    with pytest.raises(StoreMismatch, match=scheme.replace("+", r"\+") if "+" in scheme else "URL"):
        await store.open()


async def test_a_redis_that_is_not_there_cannot_be_opened():
    store = RedisStore("redis://user:hunter2@127.0.0.1:1/0", RedisSettings())

    with pytest.raises(StoreUnavailable) as caught:
        await store.open()

    assert "hunter2" not in str(caught.value)


async def test_the_number_of_shards_stays_what_it_was(redis_database, make):
    first = RedisStore(redis_database, RedisSettings(shards=4))
    await first.open()
    await first.start(make.start())
    await first.close()

    same = RedisStore(redis_database, RedisSettings())
    await same.open()
    assert await same.execution(make.key()) is not None
    await same.close()
    different = RedisStore(redis_database, RedisSettings(shards=8))
    with pytest.raises(StoreMismatch, match="4 shards, not 8"):
        await different.open()
    await different.close()


async def test_a_store_of_another_layout_is_refused(redis_database, redis_server):
    with redis_server.admin as admin:
        admin.hset("unspool:meta", "format", "2")
    store = RedisStore(redis_database, RedisSettings())

    with pytest.raises(StoreMismatch, match="layout"):
        await store.open()
    await store.close()


async def test_settings_that_lose_data_have_a_warning(own_redis, caplog):
    with own_redis.admin as admin:
        admin.config_set("appendonly", "no")
        admin.config_set("maxmemory-policy", "allkeys-lru")
    store = RedisStore(own_redis.url, RedisSettings())
    await store.open()
    await store.close()

    assert [record.action for record in caplog.records] == ["redis_not_durable", "redis_evicts"]


async def test_a_user_without_access_to_settings_can_work(own_redis, make, hands):
    with own_redis.admin as admin:
        rules = "on >secret ~unspool:* resetchannels &unspool:* +@all -config -client -keys -@dangerous"
        admin.execute_command("ACL", "SETUSER", "unspool", *rules.split())
    store = RedisStore(own_redis.url.replace("//", "//unspool:secret@"), RedisSettings())
    await store.open()
    await store.start(make.start())

    assert len(await hands.messages(store)) == 1
    await store.close()


async def test_a_wait_for_a_version_ends_at_once(store, make):
    await store.start(make.start())
    loop = asyncio.get_running_loop()
    waiting = [asyncio.create_task(store.wait_for_version(make.key(), 0, 30)) for _ in range(20)]
    started = loop.time()
    patient = asyncio.create_task(store.wait_for_version(make.key(), 1, 0.3))

    await store.commit(make.commit())
    await asyncio.gather(*waiting)
    woken = loop.time()
    await patient

    assert woken - started < 20
    assert loop.time() - started >= 0.3


async def test_a_wait_for_a_version_ends_although_its_connection_broke(store, make, redis_server):
    await store.start(make.start())
    waiting = asyncio.create_task(store.wait_for_version(make.key(), 0, 30))
    with redis_server.admin as admin:
        async with asyncio.timeout(25):
            while not admin.pubsub_channels():
                await asyncio.sleep(0.01)
        admin.client_kill_filter(_type="pubsub")
        async with asyncio.timeout(25):
            while not admin.pubsub_channels():
                await asyncio.sleep(0.01)

    await store.commit(make.commit())

    async with asyncio.timeout(25):
        await waiting


async def test_only_an_earlier_timer_wakes_the_timer_service(store, make):
    now = await store.now()
    await store.start(make.start())
    await store.commit(make.commit(timers=(Timer("first", now + 60_000),)))
    await store.fire_due_timers()
    waiting = asyncio.create_task(store.wait_for_timers(30))
    await store.commit(make.commit(after=1, timers=(Timer("later", now + 90_000),)))
    await store.ping()
    assert not waiting.done()

    await store.commit(make.commit(after=2, timers=(Timer("earlier", now + 30_000),)))

    async with asyncio.timeout(25):
        await waiting


async def test_channels_without_watches_are_unsubscribed(store, make, redis_server):
    await store.start(make.start())
    for _ in range(3):
        await store.wait_for_version(make.key(), 0, 0.01)

    with redis_server.admin as admin:
        async with asyncio.timeout(60):
            while admin.pubsub_channels():
                await asyncio.sleep(0.01)


async def test_a_sleeping_execution_costs_at_most_6_kilobytes(store, make, hands, redis_server):
    await store.start(make.start(make.key("first")))
    await store.acknowledge(await hands.messages(store))
    with redis_server.admin as admin:
        before = admin.info("memory")["used_memory"]
        now = await store.now()
        for n in range(SLEEPERS):
            key = make.key(f"01JD3ZQX{n:018d}")
            await store.start(make.start(key))
            [message] = await hands.messages(store)
            await store.commit(
                make.commit(
                    key,
                    count=4,
                    timers=(Timer(f"01JD3ZQY{n:018d}", now + 86_400_000 + n),),
                    index=IndexUpdate(Status.WAITING, started_at=now),
                    acknowledges=(message,),
                )
            )
        cost = (admin.info("memory")["used_memory"] - before) / SLEEPERS

    assert cost <= 6 * 1024


async def test_nothing_is_left_behind_by_an_execution_that_ended(store, make, hands, redis_server):
    key = await hands.requested(store, make.task())
    [task] = await hands.tasks(store)
    await store.finish_task(task, make.result(task.body))
    [result] = await hands.messages(store)
    await store.commit(
        make.commit(key, after=1, index=IndexUpdate(Status.COMPLETED, ended_at=9), acknowledges=(result,))
    )

    with redis_server.admin as admin:
        streams = [*admin.keys("*:inbox"), *admin.keys("*:tasks:*")]
        assert sum(admin.xlen(name) for name in streams) == 0
        assert sum(admin.xpending(name, "workers")["pending"] for name in admin.keys("*:inbox")) == 0
        assert not admin.keys("*:input:*")
        assert not admin.keys("*:cancelled")
    assert (await store.execution(key)).status is Status.COMPLETED


async def test_executions_that_ended_before_the_index_existed_are_found(store, make, hands, redis_server):
    for n in range(450):
        key = make.key(f"e{n}")
        await store.start(make.start(key))
        status = (Status.COMPLETED, Status.FAULTED, Status.CANCELLED)[n % 3]
        await store.commit(make.commit(key, index=IndexUpdate(status, ended_at=n + 1)))
    await store.start(make.start(make.key("pending")))
    with redis_server.admin as admin:  # as a release without the index would have left it
        admin.delete(*admin.keys("*:index:ended"))
        lost = ExecutionKey("default", "lost")
        admin.zadd(store._session.keys.shard(lost).status(Status.FAULTED), {"lost": 1})

    calls = 0
    while await store.index_ended(100):
        calls += 1
        assert calls < 200

    found = await store.ended_before(1_000, 1_000)
    assert {record.key.id: record.ended_at for record in found} == {f"e{n}": n + 1 for n in range(450)}


async def test_executions_of_an_earlier_release_become_searchable(store, make, redis_server):
    """By the beginning of their ids and by parent, in pieces."""
    parent = Parent("top", "0/a", 1)
    for n in range(450):
        start = make.start(make.key(f"e{n:03}"))
        await store.start(replace(start, parent=parent) if n % 2 else start)
    with redis_server.admin as admin:  # as a release without the indexes would have left it
        admin.delete(*admin.keys("*:index:ids"), *admin.keys("*:index:parent:*"))
        lost = ExecutionKey("default", "lost")
        admin.zadd(store._session.keys.shard(lost).index, {"lost": 1})

    calls = 0
    while await store.index_existing(100):
        calls += 1
        assert calls < 200

    async def found(**filter_):
        page = await store.executions("default", ExecutionFilter(**filter_), limit=500)
        return len(page.items)

    assert await found(id_prefix="e1") == 100
    assert await found(parent="top") == 225
    assert await found() == 450
    assert await store.index_existing(100) == 0


async def test_nothing_but_shared_keys_is_left_after_all_executions_are_dropped(
    store, make, hands, redis_server
):
    key = await hands.requested(store, make.task())
    await store.commit(make.commit(key, after=1, timers=(make.timer(),)))
    [task] = await hands.tasks(store)
    await store.finish_task(task, None)
    ended = IndexUpdate(Status.COMPLETED, ended_at=1)
    await store.commit(make.commit(key, after=2, timers_cancelled=("t1",), index=ended))

    assert await store.drop(await store.ended_before(5, 5)) == [True]

    with redis_server.admin as admin:
        left = {name.decode().rpartition("}:")[2] for name in admin.keys("*")}
    services = {"unspool:meta", "unspool:members:workers", "unspool:members:executors"}
    assert left == services | {"inbox", "tasks:http"}
