"""A file that release 0.1.0 has written works with this release, also with events."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from tests.background import served

from unspool.definitions.expressions import JqPool
from unspool.eventstore.records import Definition, ExecutionKey, PublishEvent, Start, Status, WorkflowRef
from unspool.eventstore.sqlite.settings import SqliteSettings
from unspool.eventstore.sqlite.store import SqliteStore
from unspool.timer_service.service import TimerService, TimerSettings
from unspool.worker.service import WorkerService
from unspool.worker.settings import WorkerSettings

DUMP = Path(__file__).parent / "stores" / "0.1.0.sql"

LISTEN = """
document: {dsl: '1.0.3', namespace: shop, name: listening, version: '1.0.0'}
do:
- paid: {listen: {to: {one: {with: {type: paid}}}}}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "store.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(DUMP.read_text())
    return path


@pytest.fixture
def jq() -> Iterator[JqPool]:
    with JqPool() as pool:
        yield pool


@asynccontextmanager
async def opened(path: Path, jq: JqPool):
    """The store, with a worker and a timer service."""
    store = SqliteStore(path, SqliteSettings())
    await store.open()
    services = [WorkerService(store, jq, WorkerSettings(), "w1"), TimerService(store, TimerSettings())]
    try:
        async with served(services[0]), served(services[1]):
            yield store
    finally:
        await store.close()


async def until(store: SqliteStore, id_: str, status: Status) -> ExecutionKey:
    key = ExecutionKey("default", id_)
    async with asyncio.timeout(60):
        while (record := await store.execution(key)).status is not status:
            await store.wait_for_version(key, record.version, 1)
    return key


async def test_its_executions_go_on(path, jq):
    async with opened(path, jq) as store:
        for id_, paid in (("waiting", 6), ("pending", 8)):
            key = await until(store, id_, Status.COMPLETED)
            history = await store.history(key)
            assert history[0].type == "workflow.started"
            assert history[-1].data["output"] == {"paid": paid}


async def test_events_work_in_it(path, jq):
    async with opened(path, jq) as store:
        ref = WorkflowRef("shop", "listening", "1.0.0")
        await store.put_definition("default", Definition(ref, LISTEN, 0))
        await store.start(Start(ExecutionKey("default", "listening"), ref, None, 0))
        await until(store, "listening", Status.WAITING)
        event = {"specversion": "1.0", "id": "1", "source": "/s", "type": "paid", "data": 7}
        assert await store.publish("default", [event, event]) == 1
        key = await until(store, "listening", Status.COMPLETED)
        assert (await store.history(key))[-1].data["output"] == [7]


async def test_its_executions_can_publish_and_subscribe(path, make, hands):
    store = SqliteStore(path, SqliteSettings())
    await store.open()
    [start] = await hands.messages(store)
    key = ExecutionKey("default", "pending")
    commit = make.commit(
        key,
        acknowledges=(start,),
        subscriptions=(make.subscription(),),
        outgoing=(PublishEvent(make.event()),),
    )
    await store.commit(commit)
    await hands.matched(store)
    assert await hands.events(store, 1) == [("pending", "r1", "e1")]
    await store.close()


async def test_executions_that_ended_in_it_are_deleted(path):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE executions SET status = 'faulted', ended_at = 5 WHERE id = 'waiting'")
    store = SqliteStore(path, SqliteSettings())
    await store.open()
    found = await store.ended_before(6, 10)
    assert [record.key.id for record in found] == ["waiting"]
    assert await store.drop(found) == [True]
    assert await store.history(found[0].key) == []
    await store.close()
