"""What an event costs: from its publication to the commit of the execution that listens for it."""

import asyncio
import time
from itertools import count
from statistics import median

from benchmarks import driver, processes, workloads
from benchmarks.measurements import Figures, percentile
from unspool.eventstore.port import EventStore
from unspool.eventstore.published_events import CloudEvent
from unspool.eventstore.records import (
    ExecutionFilter,
    ExecutionKey,
    Status,
    WorkflowRef,
)

_BATCH = 100

_ids = count()


def _event(number: int) -> CloudEvent:
    return {
        "specversion": "1.0",
        "id": f"{time.time_ns()}-{next(_ids)}",
        "source": "/bench",
        "type": "bench.event",
        "data": {"number": number},
    }


async def one_of_many(url: str, redis_pid: int, listeners: int, events: int) -> Figures:
    """Events for one each of many executions that listen for the same type with other correlation values."""
    async with processes.opened(url) as store:
        ref = await driver.deploy(store, workloads.listen("number"))
        with processes.services(url, "worker") as pids:
            await processes.wait_for_startup()
            measured = [*pids, redis_pid]
            used, times = 0.0, []
            while len(times) < events:  # few listeners are started again and again
                keys = await _start_listeners(store, ref, listeners)
                before = processes.cpu_seconds(measured)
                for place in range(0, listeners, max(1, listeners // events)):
                    began = time.perf_counter()
                    await store.publish(driver.TENANT, [_event(place)])
                    await driver.ended(store, keys[place])
                    times.append((time.perf_counter() - began) * 1000)
                used += processes.cpu_seconds(measured) - before
    return {
        "p50 ms": median(times),
        "p99 ms": percentile(times, 0.99),
        "cpu us/event": used / len(times) * 1e6,
    }


async def matched_in_a_second(url: str, listeners: int) -> Figures:
    """One event for each of many executions, published in batches."""
    async with processes.opened(url) as store:
        ref = await driver.deploy(store, workloads.listen("number"))
        with processes.services(url, "worker"):
            await processes.wait_for_startup()
            keys = await _start_listeners(store, ref, listeners)
            began = time.perf_counter()
            for first in range(0, listeners, _BATCH):
                places = range(first, min(first + _BATCH, listeners))
                await store.publish(driver.TENANT, [_event(place) for place in places])
            await driver.all_ended(store, ref, keys)
            return {"events/s": listeners / (time.perf_counter() - began)}


async def for_everyone(url: str, listeners: int) -> Figures:
    """One event that all executions listen for."""
    async with processes.opened(url) as store:
        ref = await driver.deploy(store, workloads.listen())
        with processes.services(url, "worker"):
            await processes.wait_for_startup()
            keys = await _start_listeners(store, ref, listeners)
            began = time.perf_counter()
            await store.publish(driver.TENANT, [_event(0)])
            await driver.all_ended(store, ref, keys)
            elapsed = time.perf_counter() - began
            for key in keys[:: max(1, listeners // 100)]:
                history = await store.history(key)
                assert [event.type for event in history].count("event.received") == 1
    return {"s": elapsed, "executions/s": listeners / elapsed}


async def _start_listeners(store: EventStore, ref: WorkflowRef, number: int) -> list[ExecutionKey]:
    """Starts executions, each with its number as input, and waits until all listen."""
    keys: list[ExecutionKey] = []
    for first in range(0, number, 200):
        places = range(first, min(first + 200, number))
        keys += await asyncio.gather(*(driver.start(store, ref, {"number": place}) for place in places))
    workflow = (ref.namespace, ref.name)
    for status in (Status.PENDING, Status.RUNNING):
        while (await store.executions(driver.TENANT, ExecutionFilter(status, workflow), limit=1)).items:
            await asyncio.sleep(0.05)
    return keys
