"""DBOS's side of the workloads, run by the peers' interpreter as `dbos_program.py WORKLOAD URL COUNT SIZE`.

DBOS is a library, so workflows, steps and what starts them share this process. Sequences are plain
functions, because DBOS is faster with them; fan-out and timers are coroutines, because threads are few.
It runs with the default settings, which its documentation advises for one process.

Standard output is for the benchmark: the line `began` before the load, `ended` after it, then JSON.
"""

import asyncio
import json
import sys
import time

from dbos import DBOS, DBOSConfig

STARTED_TOGETHER = 200


@DBOS.step()
def echo(value: int) -> int:
    return value


@DBOS.step()
async def echo_async(value: int) -> int:
    return value


@DBOS.workflow()
def sequence(steps: int) -> int:
    value = 0
    for _ in range(steps):
        value = echo(value)
    return value


@DBOS.workflow()
async def fan_out(width: int) -> int:
    return len(await asyncio.gather(*(echo_async(branch) for branch in range(width))))


@DBOS.workflow()
async def nap(milliseconds: int) -> float:
    """Returns the time at which the code after the sleep runs."""
    await DBOS.sleep_async(milliseconds / 1000)
    return time.time()


def throughput(count: int, steps: int) -> list[float]:
    """Runs all at once; returns the seconds that all took."""
    began = time.perf_counter()
    handles = [DBOS.start_workflow(sequence, steps) for _ in range(count)]
    for handle in handles:
        handle.get_result()
    return [time.perf_counter() - began]


def latency(count: int, steps: int) -> list[float]:
    """Runs one after another; returns the milliseconds from start to result of each."""
    times = []
    for _ in range(count):
        began = time.perf_counter()
        DBOS.start_workflow(sequence, steps).get_result()
        times.append((time.perf_counter() - began) * 1000)
    return times


async def wide(count: int, width: int) -> list[float]:
    """Runs one after another; returns the milliseconds from start to result of each."""
    times = []
    for _ in range(count):
        began = time.perf_counter()
        await (await DBOS.start_workflow_async(fan_out, width)).get_result()
        times.append((time.perf_counter() - began) * 1000)
    return times


async def timers(count: int, milliseconds: int) -> list[float]:
    """Runs all at once; returns by how many milliseconds each wakes after the time that DBOS recorded."""
    handles = []
    for _ in range(0, count, STARTED_TOGETHER):
        starting = (DBOS.start_workflow_async(nap, milliseconds) for _ in range(STARTED_TOGETHER))
        handles += await asyncio.gather(*starting)
    woke = [await handle.get_result() for handle in handles]
    notes = [(await DBOS.list_workflow_steps_async(handle.get_workflow_id()))[0] for handle in handles]
    return [(at - note["output"]) * 1000 for at, note in zip(woke, notes, strict=True)]


WORKLOADS = {
    "throughput": throughput,
    "latency": latency,
    "fan-out": lambda count, width: asyncio.run(wide(count, width)),
    "timers": lambda count, milliseconds: asyncio.run(timers(count, milliseconds)),
}


def main(workload: str, url: str, count: int, size: int) -> None:
    config: DBOSConfig = {"name": "bench", "system_database_url": url, "log_level": "ERROR"}
    DBOS(config=config)
    DBOS.launch()
    run = WORKLOADS[workload]
    latency(5, 5)
    print("began", flush=True)
    values = run(count, size)
    print("ended", flush=True)
    print(json.dumps(values), flush=True)
    DBOS.destroy()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
