"""Measures events, from the publication to the commit of the execution that listens."""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, AsyncExitStack
from itertools import count
from statistics import median
from typing import Self

import aiohttp

from benchmarks import driver, processes, workloads
from benchmarks.measurements import Figures, percentile
from unspool.eventstore.listing import ExecutionFilter
from unspool.eventstore.port import EventStore
from unspool.eventstore.published_events import CloudEvent
from unspool.eventstore.records import ExecutionKey, Status, WorkflowRef

Place = Callable[[], AbstractContextManager[tuple[str, list[int]]]]
"""Makes an empty store; yields its URL, and the ids of its processes."""

_BATCH = 100
_ROUND = 10
"""The events that one store gets before the next store gets as many."""

_PAUSE_SECONDS = 0.005
"""Time between two events, so that each finds an idle worker."""

_ids = count()


def _event(number: int) -> CloudEvent:
    return {
        "specversion": "1.0",
        "id": f"{time.time_ns()}-{next(_ids)}",
        "source": "/bench",
        "type": "bench.event",
        "data": {"number": number},
    }


class _Listeners:
    """Executions that listen for one event each, on a store with a worker and an API of its own."""

    def __init__(
        self, size: int, store: EventStore, ref: WorkflowRef, engine: Sequence[int], api: tuple[str, int]
    ) -> None:
        self.size = size
        self.times: list[float] = []
        self.engine_seconds = 0.0
        self.api_seconds = 0.0
        self._store = store
        self._ref = ref
        self._engine = [*engine]
        self._api_url, self._api = api
        self._listening: list[tuple[int, ExecutionKey]] = []
        self._numbers = count()
        self._version = 0

    @classmethod
    async def opened(cls, stack: AsyncExitStack, place: Place, size: int) -> Self:
        url, pids = stack.enter_context(place())
        store = await stack.enter_async_context(processes.opened(url))
        ref = await driver.deploy(store, workloads.listen("number"))
        workers = stack.enter_context(processes.services(url, "worker"))
        api = stack.enter_context(processes.api(url))
        return cls(size, store, ref, [*pids, *workers], api)

    async def start(self, count: int) -> None:
        """Starts so many more listeners."""
        numbers = [next(self._numbers) for _ in range(count)]
        keys = await _start_listeners(self._store, self._ref, numbers)
        self._listening += zip(numbers, keys, strict=True)
        if keys:
            record = await self._store.execution(keys[0])
            assert record is not None
            self._version = record.version

    async def publish_some(self, client: aiohttp.ClientSession) -> None:
        """Sends some events, one at a time, each for another listener.

        As many listeners are started before. So there are `size` of them, and all processes are as warm as
        those that just have started their few listeners.
        """
        await self.start(_ROUND)
        await asyncio.sleep(0.05)
        random.shuffle(self._listening)
        engine, api = processes.cpu_seconds(self._engine), processes.cpu_seconds([self._api])
        for _ in range(_ROUND):
            self.times.append(await self._publish(client, *self._listening.pop()))
        self.engine_seconds += processes.cpu_seconds(self._engine) - engine
        self.api_seconds += processes.cpu_seconds([self._api]) - api

    async def _publish(self, client: aiohttp.ClientSession, number: int, key: ExecutionKey) -> float:
        """Sends an event; returns the milliseconds from the request to the commit of the listener."""
        waiting = asyncio.create_task(self._store.wait_for_version(key, self._version, driver.LIMIT_SECONDS))
        await asyncio.sleep(_PAUSE_SECONDS)
        began = time.perf_counter()
        url = f"{self._api_url}/api/v1/events"
        async with client.post(
            url, json=_event(number), headers={"Content-Type": "application/cloudevents+json"}
        ) as response:
            assert response.status == 202, await response.text()
        await waiting
        return (time.perf_counter() - began) * 1000


async def one_of_many(place: Place, sizes: Sequence[int], events: int) -> Figures:
    """Measures events for one of many executions, which listen for one type with different correlations.

    Each size has a store, a worker and an API of its own. They get a few events each, one after
    another, so that other programs on the machine affect all sizes alike.
    """
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(aiohttp.ClientSession())
        every = [await _Listeners.opened(stack, place, size) for size in sizes]
        await processes.wait_for_startup()
        for listeners in every:
            await listeners.start(listeners.size - _ROUND)
        for number in range(events // _ROUND):
            for place_ in range(len(every)):
                await every[(number + place_) % len(every)].publish_some(client)
    figures: Figures = {}
    for each in every:
        figures[f"p50 ms, {each.size}"] = median(each.times)
        figures[f"p99 ms, {each.size}"] = percentile(each.times, 0.99)
        figures[f"cpu us/event, {each.size}"] = each.engine_seconds / len(each.times) * 1e6
        figures[f"cpu us/event of the API, {each.size}"] = each.api_seconds / len(each.times) * 1e6
    return figures


async def matched_in_a_second(place: Place, listeners: int) -> Figures:
    """Measures one event for each of many executions, published in batches."""
    with place() as (url, pids):
        async with processes.opened(url) as store:
            ref = await driver.deploy(store, workloads.listen("number"))
            with processes.services(url, "worker") as workers:
                await processes.wait_for_startup()
                keys = await _start_listeners(store, ref, range(listeners))
                before, began = processes.cpu_seconds([*pids, *workers]), time.perf_counter()
                for first in range(0, listeners, _BATCH):
                    places = range(first, min(first + _BATCH, listeners))
                    await store.publish(driver.TENANT, [_event(number) for number in places])
                await driver.all_ended(store, ref, keys)
                elapsed = time.perf_counter() - began
                used = processes.cpu_seconds([*pids, *workers]) - before
    return {"events/s": listeners / elapsed, "cpu us/event": used / listeners * 1e6}


async def for_all(place: Place, listeners: int) -> Figures:
    """Measures one event that all executions listen for. Each must get it once."""
    with place() as (url, _):
        async with processes.opened(url) as store:
            ref = await driver.deploy(store, workloads.listen())
            with processes.services(url, "worker"):
                await processes.wait_for_startup()
                keys = await _start_listeners(store, ref, range(listeners))
                began = time.perf_counter()
                await store.publish(driver.TENANT, [_event(0)])
                await driver.all_ended(store, ref, keys)
                elapsed = time.perf_counter() - began
                for key in keys:
                    history = await store.history(key)
                    assert [event.type for event in history].count("event.received") == 1, key
    return {"s": elapsed, "executions/s": listeners / elapsed}


async def _start_listeners(store: EventStore, ref: WorkflowRef, numbers: Sequence[int]) -> list[ExecutionKey]:
    """Starts executions, each with its number as input, and waits until all listen."""
    keys: list[ExecutionKey] = []
    for first in range(0, len(numbers), 200):
        some = numbers[first : first + 200]
        keys += await asyncio.gather(*(driver.start(store, ref, {"number": number}) for number in some))
    workflow = (ref.namespace, ref.name)
    for status in (Status.PENDING, Status.RUNNING):
        while (
            await store.executions(driver.TENANT, ExecutionFilter(frozenset({status}), workflow), limit=1)
        ).items:
            await asyncio.sleep(0.05)
    return keys
