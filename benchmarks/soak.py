"""`python -m benchmarks.soak [--executions N] [--sqlite] [--texts]`: whether a store stays flat.

Starts many short executions, which are deleted a few seconds after their end, and prints the size of the
store over time: it follows the rate, because that decides how many executions are kept. At the end all are
deleted. Ends with 1 if more is left then than a constant part of the store.
"""

import argparse
import asyncio
import sqlite3
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from redis.asyncio import Redis

from benchmarks import driver, processes, workloads
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import ExecutionKey, WorkflowRef

DEFAULT_EXECUTIONS: Final = 20_000
ROLES: Final = ("worker", "fetcher", "timer+retention")

_BATCH: Final = 200
_BATCHES_UNDER_WAY: Final = 8
_SAMPLES: Final = 40
_MOST_LEFT: Final = 2.0
"""Megabytes that a store may keep of its work: empty queues, buffers, counters."""


_NEVER: Final = 1 << 52
"""Milliseconds since 1970: all texts are due before it."""


class Size(NamedTuple):
    """The size of a store."""

    megabytes: float
    used: float
    """Megabytes without free pages."""
    detail: str
    """What else tells how full it is."""


Measure = Callable[[], Awaitable[Size]]


@contextmanager
def redis_store() -> Iterator[tuple[str, Measure]]:
    """A Redis, and its memory."""
    with processes.redis() as (url, _):

        async def measure() -> Size:
            async with Redis.from_url(url) as client:
                used = int((await client.info("memory"))["used_memory"])
                return Size(used / 1e6, used / 1e6, f"{await client.dbsize()} keys")

        yield url, measure


@contextmanager
def sqlite_store() -> Iterator[tuple[str, Measure]]:
    """A SQLite file, and its size without the write-ahead log."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.sqlite3"

        async def measure() -> Size:
            with closing(sqlite3.connect(path)) as connection:
                [free] = connection.execute("PRAGMA freelist_count").fetchone()
                [pages] = connection.execute("PRAGMA page_count").fetchone()
                [page] = connection.execute("PRAGMA page_size").fetchone()
            used = (pages - free) * page / 1e6
            return Size(path.stat().st_size / 1e6, used, f"{100 * free // pages} % of its pages free")

        yield f"sqlite:///{path}", measure


async def run_executions(store: EventStore, ref: WorkflowRef, count: int, measure: Measure) -> float:
    """Runs executions, some batches at once; prints the size of the store over time; returns the rate.

    The executions of a batch have the address of a schema in their input, another one for each batch.
    """
    waiting: list[ExecutionKey] = []
    began = time.monotonic()
    every = max(1, count // _BATCH // _SAMPLES)
    for number in range(1, count // _BATCH + 1):
        input_ = {"order": "x" * 200, "schema": f"http://bench/{number:012d}"}
        waiting.append((await driver.start_many(store, ref, _BATCH, input_))[-1])
        if len(waiting) > _BATCHES_UNDER_WAY:
            await _ended(store, waiting.pop(0))
        if number % every == 0:
            _print(number * _BATCH, time.monotonic() - began, await measure())
    for key in waiting:
        await _ended(store, key)
    return count / (time.monotonic() - began)


async def _ended(store: EventStore, key: ExecutionKey) -> None:
    """Waits until an execution has ended, or is deleted already."""
    while (record := await store.execution(key)) is not None and not record.status.ended:
        await store.wait_for_version(key, record.version, 1.0)


def _print(executions: int, seconds: float, size: Size) -> None:
    print(f"{executions:>9} executions {seconds:7.1f} s {size.megabytes:8.1f} MB  {size.detail}", flush=True)


def is_flat(before: Size, after: Size) -> bool:
    """Whether a store keeps nothing of executions that were deleted."""
    return after.used - before.used <= _MOST_LEFT


async def soak(url: str, measure: Measure, executions: int, retention: str, definition: str) -> bool:
    """Runs executions on a store; returns whether it is flat."""
    async with processes.opened(url) as store:
        ref = await driver.deploy(store, definition)
        settings = {"UNSPOOL_RETENTION": retention, "UNSPOOL_RETENTION_INTERVAL": "1"}
        with processes.services(url, *ROLES, **settings):
            await processes.wait_for_startup()
            empty = await measure()
            _print(0, 0.0, empty)
            rate = await run_executions(store, ref, executions, measure)
            print(f"{rate:.0f} executions a second")
            return is_flat(empty, await _after_all_are_deleted(store, measure))


async def _after_all_are_deleted(store: EventStore, measure: Measure) -> Size:
    began = time.monotonic()
    while await store.ended_before(await store.now(), 1) or await store.texts_before(_NEVER, 1):
        await asyncio.sleep(1.0)
    size = await measure()
    print(f"all deleted {time.monotonic() - began:.0f} s later: {size.megabytes:.1f} MB  {size.detail}")
    return size


def main() -> int:
    """Reads the options and runs a soak."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak")
    parser.add_argument("--executions", type=int, metavar="N", default=DEFAULT_EXECUTIONS)
    parser.add_argument("--sqlite", action="store_true", help="a SQLite file instead of Redis")
    parser.add_argument("--retention", default="5s", help="how long executions are kept (UNSPOOL_RETENTION)")
    parser.add_argument("--texts", action="store_true", help="each batch fetches a schema of 100 KB")
    options = parser.parse_args()
    definition = workloads.with_schema() if options.texts else workloads.sequence(1)
    with (sqlite_store if options.sqlite else redis_store)() as (url, measure):
        flat = asyncio.run(soak(url, measure, options.executions, options.retention, definition))
    return int(not flat)


if __name__ == "__main__":
    sys.exit(main())
