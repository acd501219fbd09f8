"""Measures parents with many sub-workflows: the time of each, and the memory of worker and store."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from benchmarks import driver, processes, workloads
from benchmarks.measurements import Figures

Memory = Callable[[], Awaitable[int]]
"""Returns the bytes of memory that a store uses."""


async def parent_of_many(
    url: str, memory: Memory | None, counts: tuple[int, ...], concurrency: int | None
) -> Figures:
    """Measures one parent with so many sub-workflows, one worker, one parent after another.

    Args:
        url: the store.
        memory: measures the store; None if it is on disk.
        counts: numbers of sub-workflows, ascending: the peak of the worker's memory never falls.
        concurrency: how many sub-workflows run at once; None if none is awaited.
    """
    figures: Figures = {}
    async with processes.opened(url) as store:
        child = await driver.deploy(store, workloads.child())
        ref = await driver.deploy(store, workloads.parent(concurrency))
        with processes.services(url, "worker") as pids:
            await processes.wait_for_startup()
            await driver.ended(store, await driver.start(store, ref, {"of": 20}))
            for count in counts:
                cpu, stored = processes.cpu_seconds(pids), await memory() if memory else 0
                began = driver.now()
                await driver.ended(store, await driver.start(store, ref, {"of": count}), 600)
                await driver.none_runs(store, child)
                took = driver.now() - began
                figures[f"ms/child, {count}"] = took / count
                figures[f"cpu us/child, {count}"] = (processes.cpu_seconds(pids) - cpu) / count * 1e6
                figures[f"peak MB of the worker, {count}"] = sum(map(_peak_bytes, pids)) / 1024**2
                if memory:
                    figures[f"KB of Redis/child, {count}"] = (await memory() - stored) / count / 1024
    return figures


def _peak_bytes(pid: int) -> int:
    """Returns the largest resident memory that a process has had (proc(5), `VmHWM`)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024
