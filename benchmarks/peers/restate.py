"""The workloads on Restate, over its HTTP ingress, which is the only interface."""

import asyncio
import time
from datetime import datetime

from benchmarks.measurements import Figures
from benchmarks.peers import figures, processor_time
from benchmarks.peers.restate_server import Configuration, Restate, running

_FEW_PARTITIONS = {"RESTATE_DEFAULT_NUM_PARTITIONS": "4"}

DEFAULTS = Configuration(settings={}, handlers=1)
SYNCED = Configuration(_FEW_PARTITIONS, handlers=2)
WITHOUT_FSYNC = Configuration(
    _FEW_PARTITIONS | {"RESTATE_LOG_SERVER__ROCKSDB_DISABLE_WAL_FSYNC": "true"}, handlers=2
)


async def durable_steps(server: str, configuration: Configuration, count: int) -> Figures:
    """Measures invocations of five steps each, all started at once."""
    steps = 5
    async with running(server, configuration) as restate:
        await _warm_up(restate)
        before = processor_time.used(restate.pids)
        began = time.time()
        await restate.send_many("sequence", count, steps)
        await _all_ended(restate)
        used = processor_time.since(before, restate.pids)
        [row] = await restate.query("SELECT max(completed_at) AS last FROM sys_invocation")
    seconds = datetime.fromisoformat(row["last"]).timestamp() - began
    return figures.of_throughput(count * steps, count, seconds, used)


async def latency(server: str, configuration: Configuration, handler: str, size: int, count: int) -> Figures:
    """Measures one invocation at a time, from request to response."""
    async with running(server, configuration) as restate:
        await _warm_up(restate)
        times = []
        for _ in range(count):
            began = time.perf_counter()
            await restate.call(handler, size)
            times.append((time.perf_counter() - began) * 1000)
    return figures.of_latency(times)


async def timers(server: str, configuration: Configuration, count: int) -> Figures:
    """Measures how late the code after a sleep of a second runs, in invocations started at once."""
    async with running(server, configuration) as restate:
        await _warm_up(restate)
        invocations = await restate.send_many("nap", count, 1000)
        await _all_ended(restate)
        late = await asyncio.gather(*(restate.output(invocation) for invocation in invocations))
    return figures.of_lateness(late)


async def _warm_up(restate: Restate) -> None:
    await asyncio.gather(*(restate.call("sequence", 5) for _ in range(20)))


async def _all_ended(restate: Restate) -> None:
    """Waits until every invocation has completed. Polls seldom, because the query loads the server."""
    running = "SELECT count(*) AS many FROM sys_invocation WHERE status <> 'completed'"
    failed = "SELECT count(*) AS many FROM sys_invocation WHERE completion_result = 'failure'"
    while (await restate.query(running))[0]["many"]:
        await asyncio.sleep(0.5)
    assert not (await restate.query(failed))[0]["many"], "an invocation failed"
