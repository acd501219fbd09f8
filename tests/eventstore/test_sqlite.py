"""Files, errors, grouped calls and closing of SQLite stores."""

import asyncio
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import asynccontextmanager, closing
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from unspool.eventstore.errors import CorruptHistory, StoreMismatch, StoreUnavailable
from unspool.eventstore.event_settings import EventSettings
from unspool.eventstore.execution_search import Place, cursor_of
from unspool.eventstore.idempotency_keys import IdempotencyKey
from unspool.eventstore.listing import ExecutionFilter
from unspool.eventstore.published_events import Subscription
from unspool.eventstore.records import IndexUpdate, Parent, Snapshot, Status
from unspool.eventstore.results import Outcome
from unspool.eventstore.sqlite.settings import SqliteSettings
from unspool.eventstore.sqlite.store import SqliteStore


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "store.db"


@asynccontextmanager
async def opened(path: Path, **settings):
    store = SqliteStore(path, SqliteSettings(**settings))
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
async def store(path):
    async with opened(path, busy_seconds=0.2) as store:
        yield store


async def refused(path: Path, error: type[Exception], match: str) -> None:
    before = threading.active_count()
    with pytest.raises(error, match=match):
        await SqliteStore(path, SqliteSettings()).open()
    while threading.active_count() > before:
        await asyncio.sleep(0.01)


async def test_the_file_is_for_its_owner_only(store, path):
    for file in path.parent.glob("store.db*"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize(("setting", "level"), [("full", 2), ("normal", 1)])
async def test_commits_are_as_durable_as_asked_for(path, make, setting, level):
    """The level is defined at https://sqlite.org/pragma.html#pragma_synchronous; leases need level 1 only."""

    async def level_now() -> int:
        query = "PRAGMA synchronous"
        [found] = await store._database.write(lambda t: t.execute(query).fetchone(), durable=False)
        return found

    async def level_during(call) -> int:
        """Returns the level of the transaction that runs the call."""
        return (await asyncio.gather(call, level_now()))[1]

    async with opened(path, synchronous=setting) as store:
        assert await level_during(store.start(make.start())) == level
        assert await level_during(store.heartbeat(make.worker)) == 1
        assert await level_during(store.commit(make.commit())) == level


async def test_the_database_of_another_program_stays_unchanged(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE meta (name, value)")
    before = path.read_bytes()

    await refused(path, StoreMismatch, "another program")

    assert path.read_bytes() == before


async def test_a_file_that_is_no_database_stays_unchanged(path):
    path.write_text("dear diary, " * 200)

    await refused(path, StoreMismatch, "not a SQLite database")

    assert path.read_text() == "dear diary, " * 200


async def test_another_layout_is_refused(store, path):
    await store.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE meta SET value = '99' WHERE name = 'layout'")

    await refused(path, StoreMismatch, "layout 99")


async def test_a_file_of_release_0_1_gets_the_tables_and_columns_of_this_one(path, make):
    store = SqliteStore(path, SqliteSettings())
    await store.open()
    await store.start(make.start())
    await store.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP INDEX executions_by_parent")
        connection.execute("DROP TABLE execution_tags")
        connection.execute("ALTER TABLE executions DROP COLUMN parent")
        connection.execute("ALTER TABLE consumers DROP COLUMN load")
        connection.execute("ALTER TABLE executions DROP COLUMN idempotency_key")
        connection.execute("ALTER TABLE executions DROP COLUMN tags")
        connection.execute("DROP TABLE idempotency_keys")

    stores = [SqliteStore(path, SqliteSettings()) for _ in range(3)]
    await asyncio.gather(*(store.open() for store in stores))

    parent = Parent("one", "r1", 1)
    await stores[0].start(make.start(make.key("child"), parent=parent))
    assert (await stores[1].execution(make.key())).parent is None
    assert (await stores[2].execution(make.key("child"))).parent == parent
    await stores[0].heartbeat(make.worker)
    assert await stores[1].others_free(make.second_worker) == 1
    key = IdempotencyKey("default", "shop", "order", "7")
    assert [await store.claim_key(key, f"e{n}") for n, store in enumerate(stores)] == ["e0"] * 3
    for store in stores:
        await store.close()


async def test_look_backs_of_a_file_of_an_earlier_release_are_served(path, make, hands):
    """They have no place, so what was consumed until now is not offered."""
    retention = EventSettings(retention_seconds=3_600)
    looking_back = Subscription("r1", (make.entry(type="paid"),), look_back=True)
    store = SqliteStore(path, SqliteSettings(), events=retention)
    await store.open()
    await store.publish("default", [make.event("a"), make.event("b")])
    await hands.matched(store)
    key = await hands.subscribed(store, looking_back)
    await store.commit(make.commit(key, after=1, consumed=(make.event("a"),)))
    await store.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("ALTER TABLE look_backs DROP COLUMN place")
        connection.execute("ALTER TABLE accepted_events DROP COLUMN place")
    store = SqliteStore(path, SqliteSettings(), events=retention)
    await store.open()

    await store.commit(make.commit(key, after=2, subscriptions=(looking_back._replace(run="r2"),)))

    assert await hands.matched(store) == 2
    assert sorted(await hands.events(store, 2)) == [(key.id, "r1", "b"), (key.id, "r2", "b")]
    await store.close()


async def test_many_open_a_new_file_at_once(path, make):
    async def start() -> bool:
        async with opened(path) as store:
            return await store.start(make.start())

    made = await asyncio.gather(*(start() for _ in range(8)))

    assert sum(made) == 1


async def test_a_second_store_of_a_process_takes_no_locks_from_the_first(store, path, make):
    """Without them, the last connection of another process would delete the log of the first store."""
    second = SqliteStore(path, SqliteSettings())
    await second.open()
    await second.close()

    code = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('SELECT count(*) FROM meta').fetchall()"
    await asyncio.to_thread(subprocess.run, [sys.executable, "-c", code, str(path)], check=True)
    assert path.with_name(f"{path.name}-wal").exists()
    await store.start(make.start())


async def test_a_corrupt_entry_is_detected(store, path, make):
    await store.start(make.start())
    await store.commit(make.commit(count=3))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE history SET entry = CAST(replace(entry, 'task', 'tusk') AS BLOB)")

    with pytest.raises(CorruptHistory):
        await store.history(make.key())
    with pytest.raises(CorruptHistory):
        await store.last_event(make.key())


async def test_a_corrupt_text_is_detected(store, path, make):
    await store.start(make.start())
    sha256 = await store.put_text(make.key(), "set: 1")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE texts SET text = CAST('set: 2' AS BLOB)")

    with pytest.raises(CorruptHistory, match=sha256):
        await store.text("default", sha256)


async def test_a_file_that_is_locked_for_long_is_unavailable_until_it_is_unlocked(store, path, make):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked"):
            await store.start(make.start())
        assert await store.execution(make.key()) is None
        await store.ping()
        connection.execute("ROLLBACK")

    assert await store.start(make.start())


async def test_a_full_disk_leaves_no_partial_commit_and_recovers(store, make):
    await store.start(make.start())
    pages = await store._database.write(lambda t: t.execute("PRAGMA page_count").fetchone()[0])
    await store._database.write(lambda t: t.execute(f"PRAGMA max_page_count = {pages + 4}").fetchone())
    big = [make.commit(events=make.events(), tasks=(make.task(arguments={"a": "x" * 100_000}),))]

    results = await asyncio.gather(*(store.commit(commit) for commit in big), return_exceptions=True)

    assert [type(result) for result in results] == [StoreUnavailable]
    assert await store.history(make.key()) == []
    await store._database.write(lambda t: t.execute("PRAGMA max_page_count = 1000000").fetchone())
    assert await store.commit(big[0]) is Outcome.COMMITTED


async def test_calls_of_one_tick_share_a_transaction(store, path, make):
    keys = [make.key(f"e{n}") for n in range(100)]
    await asyncio.gather(*(store.start(make.start(key)) for key in keys))
    with closing(sqlite3.connect(path)) as watching:
        [before] = watching.execute("PRAGMA data_version").fetchone()
        versions = {before}
        done = asyncio.gather(*(store.commit(make.commit(key)) for key in keys))
        while not done.done():
            versions.add(watching.execute("PRAGMA data_version").fetchone()[0])
            await asyncio.sleep(0)
        versions.add(watching.execute("PRAGMA data_version").fetchone()[0])

    assert await done == [Outcome.COMMITTED] * 100
    assert len(versions) == 2


async def test_a_bad_call_in_a_group_fails_alone(store, make):
    def fails(transaction):
        transaction.execute("DELETE FROM executions")
        raise ZeroDivisionError

    results = await asyncio.gather(
        store.start(make.start(make.key("a"))),
        store._database.write(fails),
        store.start(make.start(make.key("b"))),
        return_exceptions=True,
    )

    assert (results[0], type(results[1]), results[2]) == (True, ZeroDivisionError, True)
    assert await store.execution(make.key("a")) is not None


async def test_closing_fails_what_is_pending(store, make):
    waits = [
        asyncio.ensure_future(wait)
        for wait in (
            store.receive_messages(make.worker, 10, 60),
            store.receive_tasks(make.executor, 10, 60),
            store.wait_for_version(make.key(), 0, 60),
            store.wait_for_timers(60),
        )
    ]
    await asyncio.wait(waits, timeout=0.1)
    goes_on = threading.Event()
    late = [store._database.write(lambda transaction: goes_on.wait(60))]
    await asyncio.sleep(0)
    late += [asyncio.ensure_future(store.start(make.start(make.key(f"e{n}")))) for n in range(2_000)]
    await asyncio.sleep(0)

    closing_store = asyncio.ensure_future(store.close())
    async with asyncio.timeout(25):
        while store._database._writer._open:
            await asyncio.sleep(0.001)
    goes_on.set()
    await closing_store

    async with asyncio.timeout(25):
        ends = await asyncio.gather(*waits, return_exceptions=True)
        results = await asyncio.gather(*late, return_exceptions=True)
    assert {type(end) for end in ends} == {StoreUnavailable}
    assert {type(result) for result in results} <= {bool, StoreUnavailable}
    assert StoreUnavailable in {type(result) for result in results}


async def test_a_closed_store_is_unavailable(path, make):
    store = SqliteStore(path, SqliteSettings())
    with pytest.raises(StoreUnavailable):
        await store.ping()
    await store.open()
    await store.close()
    await store.close()

    for call in (store.ping(), store.start(make.start()), store.receive_messages(make.worker, 1, 1)):
        with pytest.raises(StoreUnavailable):
            await call
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("unspool")]


async def test_a_loop_of_links_is_no_file(path):
    path.symlink_to(path)
    with pytest.raises(StoreUnavailable, match="unable to open"):
        await SqliteStore(path, SqliteSettings()).open()


async def test_closing_leaves_a_single_file(store, path, make, tmp_path):
    await store.start(make.start())
    await store.close()

    assert [file.name for file in tmp_path.iterdir()] == ["store.db"]
    copied = Path(shutil.copy(path, tmp_path / "copy.db"))
    async with opened(copied) as copy:
        assert await copy.execution(make.key()) is not None


def all_filters() -> Iterator[ExecutionFilter]:
    """Every combination of what lists of executions can be filtered by."""
    parts: list[dict[str, Any]] = [
        {"statuses": frozenset({Status.WAITING, Status.RUNNING})},
        {"workflow": ("shop", "order")},
        {"workflow": ("shop", "order"), "version": "1.0.0"},
        {"since": 1, "until": 2},
        {"id_prefix": "o"},
        {"parent": "x"},
        {"tags": {"order": "A-1", "customer": "7"}},
    ]
    for count in range(len(parts) + 1):
        for chosen in combinations(parts, count):
            yield ExecutionFilter(**{name: value for part in chosen for name, value in part.items()})


async def test_no_query_scans_a_table(store, path, make, hands):
    """No call may become slower with the number of unrelated rows."""
    statements: list[str] = []
    for thread in (store._database._writer, store._database._reader):
        await thread.submit(
            lambda transaction: transaction.execute.__self__.set_trace_callback(statements.append)
        )
    key = await hands.requested(store, make.task(), make.task("r2"))
    [task, _] = await hands.tasks(store, 2)
    await store.renew_tasks(make.executor, [task])
    await store.finish_task(task, make.result(task.body))
    [answer] = await hands.messages(store)
    index = IndexUpdate(Status.WAITING)
    step = make.commit(
        key, 1, index=index, acknowledges=(answer,), timers=(make.timer(),), tasks_cancelled=("r2",)
    )
    await store.commit(step)
    await store.commit(step)
    await store.fire_due_timers()
    await store.release(await hands.messages(store))
    await store.reclaim_messages(make.worker, 10, 0)
    await store.reclaim_tasks(make.executor, 10, 0)
    await store.history(key, after=1)
    await store.last_event(key)
    await store.put_snapshot(key, Snapshot(1, b""))
    await store.load([key], 10)
    await store.count_executions("default")
    page = await store.executions("default", ExecutionFilter())
    for wanted in all_filters():
        cursor = cursor_of(Place.of(page.items[0], wanted), wanted)
        await store.executions("default", wanted, cursor=cursor)

    queries = {statement for statement in statements if statement[:6] in {"SELECT", "UPDATE", "DELETE"}}
    assert len(queries) > 20
    with closing(sqlite3.connect(path)) as connection:
        for query in queries:
            steps = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}")]
            scans = [step for step in steps if step.startswith("SCAN") and "INDEX" not in step]
            assert not [step for step in scans if step not in {"SCAN consumers", "SCAN (subquery-1)"}], (
                query,
                steps,
            )
            # A query sorts only held rows, or the oldest few rows of each queue.
            few = "abs(" in query or "SCAN (subquery-1)" in steps
            assert few or not [step for step in steps if "TEMP B-TREE" in step], (query, steps)


async def test_a_file_of_release_0_1_0_serves_tenants_in_turn(tmp_path, make, hands):
    path = tmp_path / "store.db"
    store = SqliteStore(path, SqliteSettings())
    await store.open()
    await store.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP INDEX inbox_by_owner")
        connection.execute("CREATE INDEX inbox_by_owner ON inbox (owner)")
        connection.execute("DROP INDEX tasks_by_owner")
        connection.execute("CREATE INDEX tasks_by_owner ON tasks (owner, queue)")

    store = SqliteStore(path, SqliteSettings())
    await store.open()
    for tenant, count in (("busy", 30), ("calm", 1)):
        key = await hands.started(store, make.key("one", tenant))
        await store.commit(make.commit(key, tasks=tuple(make.task(f"r{n}") for n in range(count))))
    tasks = await store.receive_tasks(make.executor, 10, 0)
    for n in range(30):
        await store.send("busy", make.message(f"e{n}"))
    await store.send("calm", make.message())
    received = await store.receive_messages(make.worker, 10, 0)
    await store.close()

    assert {delivery.tenant for delivery in received} == {"busy", "calm"}
    assert {delivery.tenant for delivery in tasks} == {"busy", "calm"}
    with closing(sqlite3.connect(path)) as connection:
        assert len(connection.execute("PRAGMA index_info(inbox_by_owner)").fetchall()) == 2
        assert len(connection.execute("PRAGMA index_info(tasks_by_owner)").fetchall()) == 3


async def test_a_file_becomes_smaller_after_most_of_it_was_deleted(path, make):
    async with opened(path) as store:
        keys = [make.key(f"e{n}") for n in range(400)]
        await asyncio.gather(*(store.start(make.start(key)) for key in keys))
        ended = IndexUpdate(Status.COMPLETED, ended_at=9)
        data = make.event(text="x" * 40_000)
        large = (make.events()[0]._replace(data={"output": data}),)
        await store.commit_all([make.commit(key, events=large, index=ended) for key in keys])

        for _ in range(4):
            assert all(await store.drop(await store.ended_before(10, 100)))
    assert _pages(path) < 2_500, "10 000 pages were used"


def _pages(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA page_count").fetchone()[0])
