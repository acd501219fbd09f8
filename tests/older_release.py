"""Workers of release 0.1.0, as they register: they tell nothing of themselves."""

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any


async def sqlite_worker(path: Path) -> None:
    """Sends heartbeats to a store in a file, for ever."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as file:
        while True:
            file.execute(
                "INSERT OR REPLACE INTO consumers (owner, queues, seen_at) VALUES ('workers/old', '[]', ?)",
                (time.monotonic(),),
            )
            await asyncio.sleep(0.2)


async def redis_worker(server: Any) -> None:
    """Sends heartbeats to Redis, without the process and its capacity, for ever."""
    count = 0
    while True:
        count += 1
        with server.admin as admin:
            admin.hset("unspool:members:workers", "old", f'["old-{count}",[]]')
        await asyncio.sleep(0.2)
