"""Every connection and thread of a SQLite store ends: after a failure, a cancellation and a normal close.

Since Python 3.13 a connection that is collected before it is closed raises a ResourceWarning. The tests also
count open files, so they find a leak on every Python.
"""

import asyncio
import gc
import sqlite3
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from unspool.eventstore.errors import StoreError, StoreMismatch
from unspool.eventstore.sqlite.settings import SqliteSettings
from unspool.eventstore.sqlite.store import SqliteStore

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="lists open files in /proc")


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture(autouse=True)
def nothing_leaks(path, monkeypatch):
    """Fails a test that leaves a connection or a thread; collects garbage only after it has counted."""
    unraisable = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    gc.collect()
    gc.disable()
    yield
    give_up_at = time.monotonic() + 60
    while (left := _open_files(path) + _threads(path)) and time.monotonic() < give_up_at:
        time.sleep(0.01)
    gc.enable()
    gc.collect()
    assert left == []
    assert unraisable == []


def _open_files(path: Path) -> list[str]:
    names = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            names.append(str(descriptor.readlink()))
        except FileNotFoundError:
            continue  # the descriptor of this listing itself
    return [name for name in names if name.startswith(str(path))]


def _threads(path: Path) -> list[str]:
    return [thread.name for thread in threading.enumerate() if str(path) in thread.name]


def not_a_database(path: Path) -> None:
    path.write_text("no database " * 200)


def of_another_program(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE meta (name, value)")


def of_another_layout(path: Path) -> None:
    async def make() -> None:
        store = SqliteStore(path, SqliteSettings())
        await store.open()
        await store.close()

    asyncio.run(make())
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE meta SET value = '99' WHERE name = 'layout'")


@pytest.mark.parametrize("spoil", [not_a_database, of_another_program, of_another_layout])
def test_a_store_that_cannot_be_opened(path, spoil):
    spoil(path)
    with pytest.raises(StoreMismatch) as raised:
        asyncio.run(SqliteStore(path, SqliteSettings()).open())
    raised.value.__traceback__ = None


def test_a_locked_store_that_cannot_be_opened(path):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match="locked"):
            asyncio.run(SqliteStore(path, SqliteSettings(busy_seconds=0.1)).open())


@pytest.mark.parametrize("ticks", [1, 2, 3, 5, 8, 20])
def test_a_cancelled_open(path, ticks):
    async def run() -> None:
        store = SqliteStore(path, SqliteSettings())
        opening = asyncio.ensure_future(store.open())
        for _ in range(ticks):
            await asyncio.sleep(0)
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        await store.close()

    asyncio.run(run())


def test_an_open_that_is_cancelled_while_the_file_is_locked(path):
    async def run() -> None:
        opening = asyncio.ensure_future(SqliteStore(path, SqliteSettings()).open())
        while not _threads(path):
            await asyncio.sleep(0)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening

    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        asyncio.run(run())


def test_a_cancelled_close(path):
    async def run() -> None:
        store = SqliteStore(path, SqliteSettings())
        await store.open()
        closing_store = asyncio.ensure_future(store.close())
        await asyncio.sleep(0)
        closing_store.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing_store

    asyncio.run(run())


def test_a_store_whose_calls_fail_and_are_cancelled(path):
    async def run() -> None:
        store = SqliteStore(path, SqliteSettings())
        await store.open()
        failing = store._database.write(lambda transaction: transaction.execute("SELECT nothing"))
        cancelled = asyncio.ensure_future(store.ping())
        await asyncio.sleep(0)
        cancelled.cancel()
        with pytest.raises(StoreError):
            await failing
        await store.close()

    asyncio.run(run())
