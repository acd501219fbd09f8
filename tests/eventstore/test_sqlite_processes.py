"""Several processes on one SQLite file, some of them killed (fault matrix I2, I3, F1)."""

import asyncio
import sqlite3
import sys
from collections import Counter
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from unspool.eventstore.port import CONSUMER_TIMEOUT_SECONDS
from unspool.eventstore.records import ExecutionKey, MessageKind
from unspool.eventstore.sqlite.settings import SqliteSettings
from unspool.eventstore.sqlite.store import SqliteStore

RIVAL = Path(__file__).with_name("rival.py")


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "store.db"


@asynccontextmanager
async def rival(*arguments):
    """A process of rival.py; kills it at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        RIVAL,
        *map(str, arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@asynccontextmanager
async def opened(path, **options):
    store = SqliteStore(path, SqliteSettings(), **options)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def test_concurrent_processes_leave_no_gap_and_no_duplicate(path, make, hands):
    steps, keys = 15, [make.key(f"e{n}") for n in range(12)]
    async with opened(path) as store:
        for key in keys:
            await store.start(make.start(key))
        async with (
            asyncio.timeout(60),
            rival("race", path, "a", steps) as a,
            rival("race", path, "b", steps) as b,
        ):
            assert [await process.stdout.readline() for process in (a, b)] == [b"ready\n"] * 2
            outputs = await asyncio.gather(a.communicate(b"go\n"), b.communicate(b"go\n"))
        said = Counter(line for out, _ in outputs for line in out.split())
        assert (a.returncode, b.returncode) == (0, 0)

        authors = Counter()
        for key in keys:
            history = await store.history(key)
            assert [event.seq for event in history] == [*range(1, 2 * steps + 1)]
            authors.update(event.data["by"] for event in history[::2])
        assert said[b"committed"] == steps * len(keys)
        assert said[b"conflict"] > 0, "no conflict: the processes never worked on the same execution"
        assert min(authors["a"], authors["b"]) > 0
        tasks = await hands.tasks(store, steps * len(keys))
        assert len({(task.key, task.body.run) for task in tasks}) == steps * len(keys)
        assert await store.receive_messages(make.worker, 100, 0) == []
        assert await store.reclaim_messages(make.worker, 100, 0) == []


async def test_deliveries_of_a_killed_process_go_to_another(path, make, stopwatch):
    async with opened(path, monotonic=stopwatch) as store:
        for n in range(5):
            await store.send("default", make.message(n=n))
        async with asyncio.timeout(60), rival("hold", path, "victim") as victim:
            assert await victim.stdout.readline() == b"holds 5\n"
            assert await store.reclaim_messages(make.worker, 10, 600) == []
            victim.kill()
            await victim.wait()

        assert await store.receive_messages(make.worker, 10, 0) == []
        stopwatch.ahead += CONSUMER_TIMEOUT_SECONDS + 1
        await store.heartbeat(make.worker)

        taken = await store.reclaim_messages(make.worker, 10, 600)
        assert [(d.body.body["n"], d.attempts) for d in taken] == [(n, 2) for n in range(5)]


async def test_a_killed_writer_loses_no_commit_and_leaves_no_partial_one(path):
    acknowledged: dict[str, int] = {}
    for attempt, lines in enumerate((10, 300, 901)):
        async with asyncio.timeout(60), rival("write", path, f"w{attempt}") as writer:
            said = [await writer.stdout.readline() for _ in range(lines)]
            writer.kill()
            rest, _ = await writer.communicate()
        for line in [*said, *rest.splitlines()]:
            outcome, id_, version = line.decode().split()
            assert outcome == "committed"
            acknowledged[id_] = int(version)

    async with opened(path) as store:
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            rows = connection.execute("SELECT tenant, id, version FROM executions").fetchall()
            parts = {
                table: Counter(id_ for [id_] in connection.execute(f"SELECT execution FROM {table}"))
                for table in ("history", "tasks", "timers")
            }
            continues = Counter(
                id_
                for [id_] in connection.execute(
                    "SELECT execution FROM inbox WHERE kind = ?", (MessageKind.CONTINUE.value,)
                )
            )
        assert {id_ for _, id_, _ in rows} >= set(acknowledged)
        for tenant, id_, version in rows:
            history = await store.history(ExecutionKey(tenant, id_))
            assert [event.seq for event in history] == [*range(1, version + 1)]
            assert version >= acknowledged.get(id_, 0)
            assert {counter[id_] for counter in (*parts.values(), continues)} == {version // 2}
