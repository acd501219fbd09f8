"""`python -m benchmarks.soak [--executions N] [--sqlite] [--retention TIME]`: whether a store stays flat.

Starts many short executions, which are deleted a few seconds after their end, and prints the size of the
store over time. Ends with 1 if the store grew: if its mean size in the last quarter is more than 1.2 times
that in the second quarter.
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
from statistics import mean
from typing import Final, NamedTuple

from redis.asyncio import Redis

from benchmarks import driver, processes, workloads
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import ExecutionKey, WorkflowRef

DEFAULT_EXECUTIONS: Final = 20_000
ROLES: Final = ("worker", "executor", "timer+retention")

_BATCH: Final = 200
_BATCHES_UNDER_WAY: Final = 8
_SAMPLES: Final = 40
_MOST_GROWTH: Final = 1.2


class Size(NamedTuple):
    """The size of a store."""

    megabytes: float
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
                return Size(used / 1e6, f"{await client.dbsize()} keys")

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
            return Size(path.stat().st_size / 1e6, f"{100 * free // pages} % of its pages free")

        yield f"sqlite:///{path}", measure


async def run_executions(
    store: EventStore, ref: WorkflowRef, count: int, measure: Measure
) -> tuple[list[Size], float]:
    """Runs executions, some batches at once; returns the sizes of the store over time, and the rate."""
    sizes: list[Size] = []
    waiting: list[ExecutionKey] = []
    began = time.monotonic()
    every = max(1, count // _BATCH // _SAMPLES)
    for number in range(1, count // _BATCH + 1):
        waiting.append((await driver.start_many(store, ref, _BATCH, {"order": "x" * 200}))[-1])
        if len(waiting) > _BATCHES_UNDER_WAY:
            await _ended(store, waiting.pop(0))
        if number % every == 0:
            sizes.append(await measure())
            _print(number * _BATCH, time.monotonic() - began, sizes[-1])
    for key in waiting:
        await _ended(store, key)
    return sizes, count / (time.monotonic() - began)


async def _ended(store: EventStore, key: ExecutionKey) -> None:
    """Waits until an execution has ended, or is deleted already."""
    while (record := await store.execution(key)) is not None and not record.status.ended:
        await store.wait_for_version(key, record.version, 1.0)


def _print(executions: int, seconds: float, size: Size) -> None:
    print(f"{executions:>9} executions {seconds:7.1f} s {size.megabytes:8.1f} MB  {size.detail}", flush=True)


def growth(sizes: list[Size]) -> float:
    """The mean size of the last quarter, divided by that of the second quarter."""
    quarter = max(1, len(sizes) // 4)
    middle, last = sizes[quarter : 2 * quarter] or sizes[:1], sizes[-quarter:]
    return mean(size.megabytes for size in last) / mean(size.megabytes for size in middle)


async def soak(url: str, measure: Measure, executions: int, retention: str) -> float:
    """Runs executions on a store; prints and returns its growth."""
    async with processes.opened(url) as store:
        ref = await driver.deploy(store, workloads.sequence(1))
        settings = {"UNSPOOL_RETENTION": retention, "UNSPOOL_RETENTION_INTERVAL": "1"}
        with processes.services(url, *ROLES, **settings):
            await processes.wait_for_startup()
            empty = await measure()
            _print(0, 0.0, empty)
            sizes, rate = await run_executions(store, ref, executions, measure)
            print(f"{rate:.0f} executions a second; growth {growth(sizes):.2f}")
            await _until_all_are_deleted(store, measure)
    return growth(sizes)


async def _until_all_are_deleted(store: EventStore, measure: Measure) -> None:
    began = time.monotonic()
    while await store.ended_before(await store.now(), 1):
        await asyncio.sleep(1.0)
    size = await measure()
    print(f"all deleted {time.monotonic() - began:.0f} s later: {size.megabytes:.1f} MB  {size.detail}")


def main() -> int:
    """Reads the options and runs a soak."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak")
    parser.add_argument("--executions", type=int, metavar="N", default=DEFAULT_EXECUTIONS)
    parser.add_argument("--sqlite", action="store_true", help="a SQLite file instead of Redis")
    parser.add_argument("--retention", default="5s", help="how long executions are kept (UNSPOOL_RETENTION)")
    options = parser.parse_args()
    with (sqlite_store if options.sqlite else redis_store)() as (url, measure):
        grown = asyncio.run(soak(url, measure, options.executions, options.retention))
    return int(grown > _MOST_GROWTH)


if __name__ == "__main__":
    sys.exit(main())
