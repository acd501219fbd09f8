"""`python -m benchmarks [NAME…] [--quick] [--peers] [--json FILE] [--limit SECONDS]`: measures and prints."""

import argparse
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from redis.asyncio import Redis

from benchmarks import events, measurements, processes, search, sub_workflows, tenants, workloads
from benchmarks.measurements import Figures
from benchmarks.recording import record

SEPARATE = ("worker", "executor", "timer")
COMBINED = ("worker+executor+timer",)
ONE, TEN = workloads.sequence(1), workloads.sequence(10)


async def _used_memory(url: str) -> int:
    async with Redis.from_url(url) as client:
        return int((await client.info("memory"))["used_memory"])


@contextmanager
def _redis() -> Iterator[tuple[str, list[int]]]:
    with processes.redis() as (url, pid):
        yield url, [pid]


@contextmanager
def _sqlite() -> Iterator[tuple[str, list[int]]]:
    with tempfile.TemporaryDirectory() as folder:
        yield f"sqlite:///{folder}/store.sqlite3", []


async def _parent_of_many(place: events.Place, counts: tuple[int, ...], concurrency: int | None) -> Figures:
    with place() as (url, _):
        memory = partial(_used_memory, url) if url.startswith("redis") else None
        return await sub_workflows.parent_of_many(url, memory, counts, concurrency)


def measure_all(scale: int) -> dict[str, Callable[[], Awaitable[Figures]]]:
    """Returns the measurements by name; `scale` divides their sizes."""

    def on_redis(
        measurement: Callable[[str, int], Awaitable[Figures]], fsync: str = "everysec"
    ) -> Callable[[], Awaitable[Figures]]:
        async def measured() -> Figures:
            with processes.redis(fsync) as (url, pid):
                return await measurement(url, pid)

        return measured

    def on_sqlite(measurement: Callable[[str], Awaitable[Figures]]) -> Callable[[], Awaitable[Figures]]:
        async def measured() -> Figures:
            with tempfile.TemporaryDirectory() as folder:
                return await measurement(f"sqlite:///{folder}/store.sqlite3")

        return measured

    m = measurements
    many = 4000 // scale
    return {
        "durable steps, redis, a process each": on_redis(lambda u, p: m.durable_steps(u, p, SEPARATE, many)),
        "durable steps, redis, one process": on_redis(lambda u, p: m.durable_steps(u, p, COMBINED, many)),
        "durable steps, redis with fsync always": on_redis(
            lambda u, p: m.durable_steps(u, p, SEPARATE, many), "always"
        ),
        "durable steps, sqlite, one process": on_sqlite(
            lambda u: m.durable_steps(u, None, COMBINED, many // 4)
        ),
        "in-worker steps, redis, one worker": on_redis(
            lambda u, _: m.in_worker_steps(u, ("worker",), 2000 // scale, 100)
        ),
        "in-worker steps, redis, two workers": on_redis(
            lambda u, _: m.in_worker_steps(u, ("worker", "worker"), 4000 // scale, 100)
        ),
        "latency of one step, redis": on_redis(lambda u, _: m.latency(u, SEPARATE, ONE, 500 // scale)),
        "latency of one step, redis with fsync always": on_redis(
            lambda u, _: m.latency(u, SEPARATE, ONE, 500 // scale), "always"
        ),
        "latency of ten steps, redis": on_redis(lambda u, _: m.latency(u, SEPARATE, TEN, 200 // scale)),
        "latency of ten steps, redis with fsync always": on_redis(
            lambda u, _: m.latency(u, SEPARATE, TEN, 200 // scale), "always"
        ),
        "latency of one step, sqlite": on_sqlite(lambda u: m.latency(u, COMBINED, ONE, 500 // scale)),
        "latency of ten steps, sqlite": on_sqlite(lambda u: m.latency(u, COMBINED, TEN, 200 // scale)),
        "fan-out of 100, redis": on_redis(
            lambda u, _: m.latency(u, SEPARATE, workloads.fan_out(100), 40 // scale)
        ),
        "list side by side, redis": on_redis(
            lambda u, _: m.list_side_by_side(u, 10, (1_000 // scale, 10_000 // scale))
        ),
        **{
            f"10 000 sub-workflows, {kind}, {store}": partial(
                _parent_of_many, place, (1_000 // scale, 10_000 // scale), concurrency
            )
            for kind, concurrency in (("100 at once", 100), ("not awaited", None))
            for store, place in (("redis", _redis), ("sqlite", _sqlite))
        },
        "2 000 one-second timers, redis": on_redis(lambda u, _: m.timers(u, 2000)),
        "2 000 one-second timers, sqlite": on_sqlite(lambda u: m.timers(u, 2000)),
        "10 000 timers in a second, redis": on_redis(lambda u, _: m.timers_in_a_second(u, 10_000)),
        "start to receipt, redis with 1 tenant": on_redis(
            lambda u, _: tenants.start_to_receipt(u, 1, 500 // scale)
        ),
        "start to receipt, redis with 500 tenants": on_redis(
            lambda u, _: tenants.start_to_receipt(u, 500, 500 // scale)
        ),
        **{
            f"{workload}, {store}": partial(measurement, place, *sizes)
            for workload, measurement, *sizes in (
                (
                    "event for one of many",
                    events.one_of_many,
                    (10, 10_000 // scale, 100_000 // scale),
                    500 // scale,
                ),
                ("events matched", events.matched_in_a_second, 10_000 // scale),
                ("event for 10 000", events.for_all, 10_000),
            )
            for store, place in (("redis", _redis), ("sqlite", _sqlite))
        },
        "pages of a million executions, redis": on_redis(
            lambda u, _: search.pages_of_many(u, 1_000_000 // scale)
        ),
        "pages of a million executions, sqlite": on_sqlite(
            lambda u: search.pages_of_many(u, 1_000_000 // scale)
        ),
        "memory of a sleeper, redis": on_redis(lambda u, _: m.sleepers(u, lambda: _used_memory(u), 2000)),
        "long history, redis": on_redis(lambda u, _: m.long_history(u, 25_000 // scale)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks", description="Measures Unspool.")
    parser.add_argument("names", nargs="*", help="only measurements whose name holds one of these")
    parser.add_argument("--quick", action="store_true", help="a fifth of the load")
    parser.add_argument("--peers", action="store_true", help="Restate and DBOS too, if they are installed")
    parser.add_argument(
        "--json", type=Path, help="also write the figures to this file, after each measurement"
    )
    parser.add_argument(
        "--limit", type=float, default=600.0, metavar="SECONDS", help="how long a measurement may take"
    )
    options = parser.parse_args()
    measured = measure_all(5 if options.quick else 1)
    if options.peers:
        from benchmarks.peers import measure_peers

        measured |= measure_peers(5 if options.quick else 1)
    chosen = {
        name: measurement
        for name, measurement in measured.items()
        if not options.names or any(part in name for part in options.names)
    }
    if not record(chosen, options.json, options.limit):
        sys.exit("a measurement failed")


if __name__ == "__main__":
    main()
