"""A SQLite file that other processes lock for seconds: no live consumer loses what it holds."""

import asyncio
import sqlite3
from contextlib import closing
from functools import partial

import pytest

from unspool.eventstore.errors import StoreUnavailable
from unspool.eventstore.port import CONSUMER_TIMEOUT_SECONDS
from unspool.eventstore.results import Renewal
from unspool.eventstore.sqlite.settings import SqliteSettings
from unspool.eventstore.sqlite.store import SqliteStore

LOCKED_SECONDS = CONSUMER_TIMEOUT_SECONDS + 0.5


@pytest.fixture
async def open_sqlite(tmp_path, stopwatch):
    """Opens stores on one file, each with connections of its own, as different processes have them."""
    stores = []

    async def open_store(busy_seconds):
        store = SqliteStore(
            tmp_path / "store.db", SqliteSettings(busy_seconds=busy_seconds), monotonic=stopwatch
        )
        await store.open()
        stores.append(store)
        return store

    yield open_store
    for store in stores:
        await store.close()


@pytest.fixture
def lock(tmp_path):
    """Holds the file's write lock on a separate connection until `rollback`."""
    with closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as connection:
        yield connection


async def until_available(call):
    """Repeats a call, without a pause, until the store is available."""
    while True:
        try:
            return await call()
        except StoreUnavailable:
            await asyncio.sleep(0)


# With 60 seconds the other consumer waits for the lock; with 0.2 its call fails and is repeated.
@pytest.mark.parametrize("busy_seconds", [60.0, 0.2])
async def test_a_lock_makes_no_live_consumer_lose_deliveries(open_sqlite, lock, make, hands, busy_seconds):
    holder, other = await open_sqlite(0.2), await open_sqlite(busy_seconds)
    await hands.requested(holder, make.task())
    [task] = await hands.tasks(holder)
    await holder.send("default", make.message())
    [message] = await hands.messages(holder)
    lease = 0.5 * LOCKED_SECONDS

    async def beat_and_reclaim():
        await until_available(partial(other.heartbeat, make.second_executor))
        return [
            *await other.reclaim_tasks(make.second_executor, 10, lease),
            *await other.reclaim_messages(make.second_worker, 10, lease),
        ]

    assert await beat_and_reclaim() == []
    lock.execute("BEGIN IMMEDIATE")
    reclaiming = asyncio.ensure_future(beat_and_reclaim())
    with pytest.raises(StoreUnavailable, match="locked"):
        await holder.heartbeat(make.executor)
    with pytest.raises(StoreUnavailable, match="locked"):
        await holder.renew_tasks(make.executor, [task])
    await asyncio.sleep(LOCKED_SECONDS)
    lock.execute("ROLLBACK")

    assert await reclaiming == []
    assert await other.queues_served() == {"http": 2}
    assert await holder.renew_tasks(make.executor, [task]) == [Renewal.HELD]
    await holder.acknowledge([message])


async def test_a_process_that_starts_during_a_lock_takes_nothing_over(
    open_sqlite, lock, make, hands, stopwatch
):
    holder = await open_sqlite(0.2)
    await hands.requested(holder, make.task())
    [task] = await hands.tasks(holder)
    lock.execute("BEGIN IMMEDIATE")
    stopwatch.ahead += 10 * CONSUMER_TIMEOUT_SECONDS
    starting = await open_sqlite(0.6)
    with pytest.raises(StoreUnavailable, match="locked"):
        await starting.heartbeat(make.second_executor)
    lock.execute("ROLLBACK")
    await starting.heartbeat(make.second_executor)

    assert await starting.reclaim_tasks(make.second_executor, 10, CONSUMER_TIMEOUT_SECONDS) == []
    assert await holder.renew_tasks(make.executor, [task]) == [Renewal.HELD]


async def test_a_consumer_that_stays_silent_after_a_lock_is_gone(open_sqlite, lock, make, hands, stopwatch):
    holder, other = await open_sqlite(0.2), await open_sqlite(0.2)
    await hands.requested(holder, make.task())
    await hands.tasks(holder)
    lock.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked"):
        await other.heartbeat(make.second_executor)
    stopwatch.ahead += 10 * CONSUMER_TIMEOUT_SECONDS
    lock.execute("ROLLBACK")
    await other.heartbeat(make.second_executor)
    reclaim = partial(other.reclaim_tasks, make.second_executor, 10, 600)
    assert await reclaim() == []

    stopwatch.ahead += CONSUMER_TIMEOUT_SECONDS

    assert [task.body.run for task in await reclaim()] == ["r1"]
