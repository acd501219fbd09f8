"""The Redis adapter with lost replies, broken connections and a Redis that is killed or loses data."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator

import pytest
from tests.eventstore.conftest import PATIENT
from tests.tcp_proxy import RedisProxy

from unspool.definitions.expressions import JqPool
from unspool.eventstore.clock import SystemClock
from unspool.eventstore.errors import NotFound, StoreMismatch, StoreUnavailable
from unspool.eventstore.records import ExecutionKey, SendMessage, StartExecution, TaskRequest
from unspool.eventstore.redis import scripts
from unspool.eventstore.redis.settings import RedisSettings
from unspool.eventstore.redis.store import RedisStore
from unspool.eventstore.results import Outcome
from unspool.executor.outcome import Completed
from unspool.executor.service import ExecutorService
from unspool.executor.settings import ExecutorSettings
from unspool.executor.task_context import TaskContext
from unspool.timer_service.service import TimerService, TimerSettings
from unspool.worker.service import WorkerService
from unspool.worker.settings import WorkerSettings

REPLY_SECONDS = 2.0
"""How long Redis may take to answer a store that a test lets wait in vain."""


@pytest.fixture
async def proxy(redis_server, redis_database) -> AsyncIterator[RedisProxy]:
    proxy = RedisProxy(redis_server.port)
    await proxy.start()
    yield proxy
    await proxy.stop()


@pytest.fixture
async def proxied(proxy) -> AsyncIterator[RedisStore]:
    store = RedisStore(proxy.url, PATIENT)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def impatient(proxy) -> AsyncIterator[RedisStore]:
    """A store behind the proxy that soon gives up."""
    store = RedisStore(proxy.url, RedisSettings(reply_seconds=REPLY_SECONDS))
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def direct(redis_database) -> AsyncIterator[RedisStore]:
    store = RedisStore(redis_database, RedisSettings())
    await store.open()
    yield store
    await store.close()


async def until(condition) -> None:
    """Waits until a condition holds."""
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.005)


async def persist(call):
    """Repeats a call while the store is unavailable, as services do."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await call()
            except StoreUnavailable:
                await asyncio.sleep(0.01)


async def test_scripts_that_were_flushed_are_loaded_again(direct, make, redis_server):
    await direct.start(make.start())
    with redis_server.admin as admin:
        admin.script_flush()

    assert await direct.commit(make.commit()) is Outcome.COMMITTED


async def test_a_commit_whose_reply_is_lost_is_made_once(proxied, proxy, make, hands):
    await proxied.start(make.start())
    messages = await hands.messages(proxied)
    await proxied.commit(make.commit(acknowledges=tuple(messages)))
    proxy.lose_the_reply_to(b"second")

    outcome = await proxied.commit(make.commit(after=1, commit_id="second", tasks=(make.task(),)))

    assert proxy.losses == 1
    assert outcome is Outcome.DUPLICATE
    assert len(await proxied.history(make.key())) == 2
    assert len(await hands.tasks(proxied)) == 1


async def test_calls_that_cannot_be_repeated_safely_are_not_repeated(proxied, proxy, direct, make, hands):
    await direct.start(make.start())
    await hands.messages(direct)
    proxy.lose_the_reply_to(b"XADD")

    with pytest.raises(StoreUnavailable):
        await proxied.send("default", make.message())

    assert proxy.losses == 1
    assert len(await hands.messages(direct)) == 1


async def test_a_result_whose_reply_is_lost_is_sent_once(proxied, proxy, direct, make, hands):
    await hands.requested(direct, make.task())
    [task] = await hands.tasks(proxied)
    proxy.lose_the_reply_to(b"task.completed")

    with pytest.raises(StoreUnavailable):
        await proxied.finish_task(task, make.result(task.body))
    await proxied.finish_task(task, make.result(task.body))

    assert proxy.losses == 1
    assert len(await hands.messages(direct)) == 1


async def test_messages_in_a_lost_reply_are_read_again(proxied, proxy, direct, make, hands):
    await proxied.receive_messages(make.worker, 10, 0)
    await direct.start(make.start())
    proxy.lose_the_reply_to(b"inbox")

    with pytest.raises(StoreUnavailable):
        await proxied.receive_messages(make.worker, 10, 1)
    [message] = await persist(lambda: hands.messages(proxied))

    assert proxy.losses == 1
    assert message.key == make.key()


async def test_held_deliveries_are_not_read_again_after_a_break(proxied, proxy, direct, make, hands):
    await direct.start(make.start())
    held = await hands.messages(proxied)
    await direct.start(make.start(make.key("two")))
    proxy.lose_the_reply_to(b"inbox")
    with pytest.raises(StoreUnavailable):
        await proxied.receive_messages(make.worker, 10, 1)

    received = await persist(lambda: hands.messages(proxied))

    assert [delivery.key.id for delivery in held + received] == ["one", "two"]


async def test_a_cancelled_read_swallows_nothing(direct, make, hands, redis_server):
    await direct.receive_tasks(make.executor, 1, 0)
    key = await hands.requested(direct)
    reading = asyncio.create_task(direct.receive_tasks(make.executor, 1, 30))
    with redis_server.admin as admin:
        await until(lambda: admin.info("clients")["blocked_clients"])
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await direct.commit(make.commit(key, after=1, tasks=(make.task(),)))

    [task] = await hands.tasks(direct, consumer=make.second_executor)

    assert task.attempts == 1


async def test_a_read_the_server_did_not_see_break_loses_nothing(
    impatient, proxy, direct, make, redis_server
):
    """The network is cut during a blocking read, and Redis delivers to the dead connection."""
    await impatient.receive_messages(make.worker, 10, 0)
    reading = asyncio.create_task(impatient.receive_messages(make.worker, 10, 30))
    with redis_server.admin as admin:
        await until(lambda: admin.info("clients")["blocked_clients"])
        proxy.freeze()
        await direct.start(make.start())
        await until(lambda: _outstanding(admin) == 1)
    with pytest.raises(StoreUnavailable):
        await reading
    proxy.thaw()

    async def receive():
        return await impatient.receive_messages(make.worker, 10, 0.1)

    async with asyncio.timeout(25):
        while not (messages := await persist(receive)):
            pass
    assert [message.key for message in messages] == [make.key()]


def _outstanding(admin) -> int:
    return sum(admin.xpending(inbox, "workers")["pending"] for inbox in admin.keys("*:inbox"))


async def test_a_redis_that_does_not_answer_is_given_up(impatient, proxy):
    proxy.freeze()

    with pytest.raises(StoreUnavailable, match="not answered"):
        await impatient.now()

    proxy.thaw()
    assert await persist(impatient.now) > 0


@pytest.mark.parametrize("of", ["calls", "notifications"])
async def test_a_connection_that_is_made_while_the_store_is_closed_is_closed(own_redis, of):
    proxy = RedisProxy(own_redis.port)
    await proxy.start()
    store = RedisStore(proxy.url, RedisSettings())
    await store.open()
    if of == "calls":
        proxy.hold_back(b"epoch")  # what a new connection asks first
        proxy.cut()
        calling = asyncio.create_task(persist(store.now))
    else:
        proxy.hold_back(b"SETINFO")  # what redis-py sends first
        key = ExecutionKey("default", "e1")
        calling = asyncio.create_task(store.wait_for_version(key, 0, 60))
    async with asyncio.timeout(60):
        await proxy.holds.wait()

    await store.close()
    proxy.release()

    with own_redis.admin as admin:
        await until(lambda: len(admin.client_list()) == 1)
    calling.cancel()
    await asyncio.gather(calling, return_exceptions=True)
    await proxy.stop()


async def test_a_pause_of_this_process_is_no_silence_of_redis(impatient, make):
    """Its machine or a long computation stops it for longer than Redis may take to answer."""
    await impatient.publish("default", [make.event()])
    await impatient.receive_events(make.worker, 10, 0)
    receiving = impatient.receive_events(make.worker, 1, 0)
    calls = [asyncio.ensure_future(call) for call in (impatient.now(), receiving)]
    await asyncio.sleep(0)

    time.sleep(REPLY_SECONDS + 0.3)  # noqa: ASYNC251 - the pause

    assert all(await asyncio.gather(*calls))


async def test_killed_connections_are_made_again(direct, make, hands, redis_server):
    await direct.start(make.start())
    with redis_server.admin as admin:
        for client in admin.client_list(_type="normal"):
            if client["id"] != str(admin.client_id()):
                admin.client_kill_filter(_id=client["id"])

    assert await direct.commit(make.commit()) is Outcome.COMMITTED
    assert len(await persist(lambda: hands.messages(direct))) == 1


async def test_nothing_acknowledged_is_lost_when_redis_is_killed(own_redis, make):
    """It is killed in the middle of a stream of commits and comes back with its append-only file."""
    store = RedisStore(own_redis.url, RedisSettings(commit_seconds=60))  # a busy machine starts Redis slowly
    await store.open()
    keys = [ExecutionKey("default", f"e{n}") for n in range(8)]
    for key in keys:
        await store.start(make.start(key))
    committed = dict.fromkeys(keys, 0)
    each = 600  # so many that they cannot all be made before Redis is killed

    async def work(key: ExecutionKey) -> None:
        while committed[key] < each:
            after = committed[key]
            outcome = await store.commit(make.commit(key, after=after, commit_id=f"{key.id}-{after}"))
            assert outcome in {Outcome.COMMITTED, Outcome.DUPLICATE}
            committed[key] += 1

    working = asyncio.gather(*(work(key) for key in keys))
    await until(lambda: sum(committed.values()) > 100)
    await asyncio.to_thread(own_redis.kill)
    assert not working.done()
    await asyncio.to_thread(own_redis.start)
    await working

    for key in keys:
        assert [event.seq for event in await store.history(key)] == list(range(1, each + 1))
        assert (await store.execution(key)).version == each
    await store.close()


async def test_a_commit_gives_up_after_a_while(own_redis, make):
    store = RedisStore(own_redis.url, RedisSettings(commit_seconds=0.3))
    await store.open()
    await store.start(make.start())
    await asyncio.to_thread(own_redis.kill)

    with pytest.raises(StoreUnavailable):
        await store.commit(make.commit())
    await store.close()


async def test_a_redis_that_came_back_empty_is_refused(own_redis, make, caplog):
    store = RedisStore(own_redis.url, RedisSettings(commit_seconds=5))
    await store.open()
    await store.start(make.start())
    await asyncio.to_thread(own_redis.kill)
    own_redis.delete_data()
    await asyncio.to_thread(own_redis.start)

    with pytest.raises(StoreMismatch, match="lost the data"):
        await store.commit(make.commit())
    assert "redis_data_lost" in {getattr(record, "action", None) for record in caplog.records}
    await store.close()


async def test_a_deleted_stream_is_made_again_with_an_alarm(direct, make, hands, redis_server, caplog):
    await direct.receive_messages(make.worker, 10, 0)
    with redis_server.admin as admin:
        admin.delete(*admin.keys("*:inbox"))
    await direct.start(make.start())

    [message] = await persist(lambda: hands.messages(direct))

    assert message.key == make.key()
    assert [r.levelno for r in caplog.records if getattr(r, "action", "") == "redis_group_lost"] == [
        logging.CRITICAL
    ]


async def test_a_full_memory_tears_no_commit_and_lets_results_in(own_redis, make, hands):
    store = RedisStore(own_redis.url, RedisSettings(commit_seconds=0.2))
    await store.open()
    key = await hands.requested(store, make.task())
    [task] = await hands.tasks(store)
    with own_redis.admin as admin:
        admin.config_set("maxmemory", "1")
        with pytest.raises(StoreUnavailable, match=r"OOM|memory"):
            await store.commit(make.commit(key, after=1, tasks=(make.task("r2"),)))
        with pytest.raises(StoreUnavailable, match=r"OOM|memory"):
            await store.start(make.start(make.key("two")))
        await store.finish_task(task, make.result(task.body))
        await store.heartbeat(make.executor)  # otherwise all consumers would seem dead
        admin.config_set("maxmemory", "0")

    assert (await store.execution(key)).version == 1
    assert await store.execution(make.key("two")) is None
    [message] = await hands.messages(store)
    assert await store.commit(make.commit(key, after=1, acknowledges=(message,))) is Outcome.COMMITTED
    assert await hands.nothing_waits(store)
    await store.close()


async def test_a_closed_store_says_so(redis_database, redis_server, make):
    store = RedisStore(redis_database, RedisSettings())
    await store.open()
    await store.receive_messages(make.worker, 1, 0)
    reading = asyncio.create_task(store.receive_messages(make.worker, 1, 30))
    waiting = asyncio.create_task(store.wait_for_version(make.key(), 0, 30))
    with redis_server.admin as admin:
        await until(lambda: admin.info("clients")["blocked_clients"] and admin.pubsub_channels())

    await store.close()

    with pytest.raises(StoreUnavailable):
        await reading
    with pytest.raises(StoreUnavailable):
        await waiting
    with pytest.raises(StoreUnavailable):
        await store.ping()


async def test_moving_an_acknowledged_message_to_the_dead_letters_is_refused(direct, make, hands):
    await direct.start(make.start())
    [message] = await hands.messages(direct)
    await direct.acknowledge([message])

    with pytest.raises(NotFound):
        await direct.move_to_dead_letters(message, "poison", "")


async def test_a_cancelled_task_is_not_requeued_after_its_mark_has_expired(direct, make, hands, redis_server):
    """Marks of cancelled runs are kept for a day; dead letters are kept longer."""
    key = await hands.requested(direct, make.task())
    [task] = await hands.tasks(direct)
    letter = await direct.move_to_dead_letters(task, "boom", "")
    await direct.commit(make.commit(key, after=1, tasks_cancelled=("r1",)))
    with redis_server.admin as admin:
        assert admin.delete(*admin.keys("*:cancelled")) == 1

    await direct.requeue("default", letter)

    assert await hands.nothing_waits(direct)


@pytest.mark.parametrize("loss", ["flushed", "restarted empty"])
async def test_services_end_with_a_clear_message_when_redis_loses_its_data(
    own_redis, make, hands, caplog, loss
):
    """An executor with a running task, a worker and a timer service; no other error is logged before."""
    store = RedisStore(own_redis.url, RedisSettings())
    await store.open()
    await hands.requested(store, make.task(queue="test"))
    runs, lost = asyncio.Event(), asyncio.Event()

    async def handler(request: TaskRequest, context: TaskContext) -> Completed:
        runs.set()
        await lost.wait()
        return Completed({})

    with JqPool() as jq:
        services = (
            ExecutorService(store, {"test": handler}, ExecutorSettings(), "x1", SystemClock()),
            WorkerService(store, jq, WorkerSettings(), "w1"),
            TimerService(store, TimerSettings()),
        )
        running = [asyncio.create_task(service.run()) for service in services]
        await runs.wait()
        await asyncio.to_thread(_lose_the_data, own_redis, loss)
        lost.set()
        async with asyncio.timeout(60):
            errors = await asyncio.gather(*running, return_exceptions=True)

    for error in errors:
        assert isinstance(error, BaseException)
        causes = error.exceptions if isinstance(error, BaseExceptionGroup) else (error,)
        assert {type(cause) for cause in causes} == {StoreMismatch}
        assert "lost the data" in str(causes[0])
    severe = [record for record in caplog.records if record.levelno >= logging.ERROR or record.exc_info]
    assert [getattr(record, "action", record.getMessage()) for record in severe] == ["redis_data_lost"]
    await store.close()


def _lose_the_data(server, loss: str) -> None:
    if loss == "flushed":
        with server.admin as admin:
            admin.flushall()
    else:
        server.kill()
        server.delete_data()
        server.start()


async def test_another_process_delivers_what_a_lost_one_has_committed(
    proxy, direct, redis_server, make, hands
):
    store = RedisStore(proxy.url, RedisSettings(commit_seconds=0.1))
    await store.open()
    key = await hands.started(direct)
    await store.commit(make.commit(key))
    proxy.refuse()
    proxy.lose_the_reply_to(scripts.COMMIT.sha.encode())
    outgoing = (StartExecution(make.start(make.key("child"))), SendMessage(make.message("child", n=1)))
    with pytest.raises(StoreUnavailable):
        await store.commit(make.commit(key, after=1, outgoing=outgoing))
    await store.close()
    assert len(await direct.history(key)) == 2
    assert await hands.nothing_waits(direct)

    after = make.commit(key, after=2, outgoing=(SendMessage(make.message("child", n=2)),))
    assert await direct.commit(after) is Outcome.COMMITTED  # it delivers what is left before its own

    first, *others = [d.body for d in await hands.messages(direct, 3)]
    assert first.kind == "start"
    assert [message.body["n"] for message in others] == [1, 2]
    with redis_server.admin as admin:
        assert not any(admin.xlen(name) for name in admin.scan_iter("unspool:*:outbox"))


async def test_the_relay_delivers_what_a_lost_process_has_committed(proxy, direct, make, hands):
    store = RedisStore(proxy.url, RedisSettings(commit_seconds=0.1))
    await store.open()
    key = await hands.started(direct)
    await store.commit(make.commit(key))
    proxy.refuse()
    proxy.lose_the_reply_to(scripts.COMMIT.sha.encode())
    with pytest.raises(StoreUnavailable):
        await store.commit(make.commit(key, after=1, outgoing=(SendMessage(make.message(key.id, n=1)),)))
    await store.close()

    assert await direct.deliver_outgoing() == 1

    assert [d.body.body for d in await hands.messages(direct)] == [{"n": 1}]
    assert await direct.deliver_outgoing() == 0


async def test_a_commit_whose_reply_was_lost_sends_once(proxy, proxied, direct, make, hands):
    key = await hands.started(direct)
    await proxied.commit(make.commit(key))
    proxy.lose_the_reply_to(scripts.COMMIT.sha.encode())
    commit = make.commit(key, after=1, outgoing=(SendMessage(make.message(key.id, n=1)),))

    assert await proxied.commit(commit) is Outcome.DUPLICATE

    assert [d.body.body for d in await hands.messages(direct)] == [{"n": 1}]
    assert proxy.losses == 1
