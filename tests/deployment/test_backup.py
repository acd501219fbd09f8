"""Backups as docs/operations.md says: taken while services work, and restored into another store."""

import asyncio
import contextlib
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Protocol

import pytest
from tests.chaos.ledger import Ledger
from tests.conftest import RedisServer
from tests.deployment.parcels import Parcels
from tests.deployment.processes import answers, kill, start
from tests.ports import free_port

from unspool.client import AsyncClient, NotFound
from unspool.definitions.expressions import JqPool
from unspool.eventstore.opening import open_store

SETTINGS = {
    "UNSPOOL_EVENT_RETENTION": "3600"
}  # an event of a parcel is published before its execution listens


class Stores(Protocol):
    """A store, and another one that gets its backup."""

    url: str
    restored_url: str

    def back_up(self) -> None:
        """Takes a backup while services use the store."""

    def restore(self) -> None:
        """Makes the other store of it."""


class SqliteStores:
    """Two files."""

    def __init__(self, folder: Path) -> None:
        self._file, self._backup, self._restored = (folder / name for name in ("store", "backup", "restored"))
        self.url, self.restored_url = f"sqlite:///{self._file}", f"sqlite:///{self._restored}"

    def back_up(self) -> None:
        """See `Stores`."""
        with contextlib.closing(sqlite3.connect(self._file, timeout=60)) as connection:
            connection.execute("VACUUM INTO ?", [str(self._backup)])

    def restore(self) -> None:
        """See `Stores`."""
        shutil.copy(self._backup, self._restored)


class RedisStores:
    """Two servers. The second one starts with the backup as its data."""

    def __init__(self, server: RedisServer, folder: Path) -> None:
        self._server, self._backup = server, folder / "backup.rdb"
        folder.joinpath("restored").mkdir()
        self.restored = RedisServer(folder / "restored", "--appendonly", "no")
        self.url, self.restored_url = server.url, self.restored.url

    def back_up(self) -> None:
        """See `Stores`."""
        with self._server.admin as admin:
            before = admin.lastsave()
            while admin.lastsave() == before:  # in whole seconds
                with contextlib.suppress(Exception):
                    admin.bgsave()
                time.sleep(0.2)
            shutil.copy(Path(admin.config_get("dir")["dir"]) / "dump.rdb", self._backup)

    def restore(self) -> None:
        """See `Stores`. With `appendonly yes`, Redis would read its own file and not the backup."""
        shutil.copy(self._backup, self.restored.folder / "dump.rdb")
        self.restored.start()
        with self.restored.admin as admin:
            admin.config_set("appendonly", "yes")


@pytest.fixture(params=["sqlite", "redis"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stores]:
    if request.param == "sqlite":
        yield SqliteStores(tmp_path)
        return
    stores = RedisStores(request.getfixturevalue("own_redis"), tmp_path)
    yield stores
    stores.restored.stop()


@contextlib.asynccontextmanager
async def all_services(url: str, log: Path) -> AsyncIterator[AsyncClient]:
    """Runs all services on a store until the block ends, and then kills them. Yields a client."""
    port = free_port()
    running = await start(["dev", "--port", str(port), "--store", url], SETTINGS, log)
    try:
        await answers(f"http://127.0.0.1:{port}/health/ready", running)
        async with AsyncClient(f"http://127.0.0.1:{port}", attempts=12) as client:
            yield client
    finally:
        await kill(running)


@pytest.mark.timeout(900)
async def test_a_backup_under_load_is_a_state_from_which_everything_continues(
    stores: Stores, tmp_path: Path, jq: JqPool
) -> None:
    ledger = Ledger()
    async with ledger.running() as shop:
        async with all_services(stores.url, tmp_path / "before.log") as client:
            parcels, lost = Parcels(client, ledger, shop, payment="book"), asyncio.Event()
            await parcels.deploy()
            async with asyncio.TaskGroup() as group:
                group.create_task(parcels.keep_starting(lost, pause=0.1))
                await _until(lambda: len(ledger.arrivals.to("slow")) > 3)
                await asyncio.to_thread(stores.back_up)
                in_backup = len(parcels.started)
                await _until(lambda: len(parcels.started) > in_backup + 5)
                lost.set()
            await client.result(parcels.started[-1], timeout=240)  # its effects are not in the backup
        called = set(ledger.arrivals.first())
        ledger.arrivals.clear()
        await asyncio.to_thread(stores.restore)
        async with all_services(stores.restored_url, tmp_path / "after.log") as client:
            with pytest.raises(NotFound):
                await client.execution(parcels.started[-1])
            parcels.client = client
            await parcels.start_again()
            await parcels.completed(seconds=240)
            parcels.check_effects()
            assert called & set(
                ledger.arrivals.first()
            )  # tasks that ran after the backup, with the same keys
            assert [letter async for letter in client.dead_letters()] == []
    store = await open_store(stores.restored_url, {})
    try:
        await parcels.check_histories(store, jq)
    finally:
        await store.close()


async def _until(condition) -> None:  # type: ignore[no-untyped-def] # any callable
    async with asyncio.timeout(240):
        while not condition():
            await asyncio.sleep(0.02)
