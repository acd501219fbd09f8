"""The measurements. Each starts processes of its own, so that none affects another."""

import asyncio
import time
from collections.abc import Callable
from itertools import chain, pairwise
from statistics import median
from typing import Any

from benchmarks import driver, processes, workloads
from unspool.eventstore.events import Event
from unspool.eventstore.port import EventStore

Figures = dict[str, float]


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, round(len(values) * share))]


async def durable_steps(url: str, redis_pid: int | None, roles: tuple[str, ...], count: int) -> Figures:
    """Measures executions of five executor tasks each, all started at once."""
    steps = 5
    async with processes.opened(url) as store:
        ref = await driver.deploy(store, workloads.sequence(steps))
        with processes.services(url, *roles) as pids:
            await processes.wait_for_startup()
            await _warm_up(store, ref)
            watched = [*pids, *([redis_pid] if redis_pid else [])]
            before = {pid: processes.cpu_seconds([pid]) for pid in watched}
            began = time.perf_counter()
            keys = await driver.start_many(store, ref, count, {"n": 0})
            records = await driver.all_ended(store, ref, keys)
            took = time.perf_counter() - began
            used = {pid: processes.cpu_seconds([pid]) - cpu for pid, cpu in before.items()}
    span = max(r.ended_at or 0 for r in records) - min(r.created_at for r in records)
    total = count * steps
    figures: Figures = {
        "steps/s": total / (span / 1000),
        "executions/s": count / (span / 1000),
        "cpu us/step": sum(used.values()) / total * 1e6,
        "seconds": took,
    }
    for name, pid in zip([*roles, "redis"], watched, strict=False):
        figures[f"cpu us/step {name}"] = used[pid] / total * 1e6
    return figures


async def in_worker_steps(url: str, roles: tuple[str, ...], count: int, steps: int) -> Figures:
    """Measures executions of `set` and `switch` only."""
    async with processes.opened(url) as store:
        ref = await driver.deploy(store, workloads.in_worker(steps))
        with processes.services(url, *roles):
            await processes.wait_for_startup()
            await _warm_up(store, ref)
            keys = await driver.start_many(store, ref, count, {"n": 0})
            records = await driver.all_ended(store, ref, keys)
    span = max(r.ended_at or 0 for r in records) - min(r.created_at for r in records)
    return {"steps/s": count * steps / (span / 1000), "steps": count * steps}


async def latency(url: str, roles: tuple[str, ...], text: str, count: int) -> Figures:
    """Measures one execution of a definition at a time, from start to result."""
    async with processes.opened(url) as store:
        ref = await driver.deploy(store, text)
        with processes.services(url, *roles):
            await processes.wait_for_startup()
            await _warm_up(store, ref)
            times = []
            for _ in range(count):
                began = time.perf_counter()
                await driver.ended(store, await driver.start(store, ref, {"n": 0}))
                times.append((time.perf_counter() - began) * 1000)
    return {"p50 ms": median(times), "p99 ms": percentile(times, 0.99)}


async def timers(url: str, count: int) -> Figures:
    """Measures how late executions wake that sleep for a second and are started at once."""
    async with processes.opened(url) as store:
        ref = await driver.deploy(store, workloads.sleep(1))
        with processes.services(url, "worker", "timer"):
            await processes.wait_for_startup()
            await _warm_up(store, ref)
            keys = await driver.start_many(store, ref, count, {})
            await driver.all_ended(store, ref, keys)
            return _lateness(await asyncio.gather(*(store.history(key) for key in keys)))


async def timers_in_a_second(url: str, count: int) -> Figures:
    """Measures how late sleeping executions wake that are due evenly over one second."""
    async with processes.opened(url) as store:
        ref = await driver.deploy(store, workloads.sleep_until())
        with processes.services(url, "worker", "timer"):
            await processes.wait_for_startup()
            await _warm_up(store, ref, {"until": driver.now() + 1_000})
            first = driver.now() + 3_000 + count  # enough time to start all of them
            keys = [
                await driver.start_many(store, ref, count // 100, {"until": first + 10 * moment})
                for moment in range(100)
            ]
            every = list(chain.from_iterable(keys))
            await driver.all_ended(store, ref, every)
            return _lateness(await asyncio.gather(*(store.history(key) for key in every)))


def _lateness(histories: list[list[Event]]) -> Figures:
    late = []
    for history in histories:
        due = next(event.data["dueAt"] for event in history if event.type == "timer.scheduled")
        woke = next(event.time for event in history if event.type == "timer.fired")
        assert woke >= due, "a timer fired early"
        late.append(float(woke - due))
    return {"p50 ms late": median(late), "p99 ms late": percentile(late, 0.99), "max ms late": max(late)}


async def sleepers(url: str, memory: Callable[[], Any], count: int) -> Figures:
    """Measures the memory in Redis of executions that sleep in their only task."""
    async with processes.opened(url) as store:
        ref = await driver.deploy(store, workloads.sleep(3600))
        with processes.services(url, "worker"):
            await processes.wait_for_startup()
            await driver.start(store, ref, {})
            await asyncio.sleep(1)
            before = await memory()
            keys = await driver.start_many(store, ref, count, {})
            for key in keys:
                await store.wait_for_version(key, 0, 60)
            await asyncio.sleep(1)
            after = await memory()
    return {"KB/execution": (after - before) / count / 1024}


async def long_history(url: str, steps: int) -> Figures:
    """Measures the cost of a step while the history of one execution grows."""
    async with processes.opened(url) as store:
        ref = await driver.deploy(store, workloads.loop())
        with processes.services(url, "worker", "executor"):
            await processes.wait_for_startup()
            await driver.ended(store, await driver.start(store, ref, {"n": 0, "of": 20}))
            key = await driver.start(store, ref, {"n": 0, "of": steps})
            await driver.ended(store, key, 600)
            history = await store.history(key)
    requested = [event for event in history if event.type == "task.requested"]
    figures: Figures = {}
    for low, high in pairwise([10, 100, 1_000, 10_000, 100_000]):
        times = [event.time for event in requested if low <= event.seq < high]
        if len(times) > 5:
            figures[f"ms/step, {low} to {high} events"] = (times[-1] - times[0]) / (len(times) - 1)
    return figures


async def list_side_by_side(url: str, concurrency: int, counts: tuple[int, ...]) -> Figures:
    """Measures the cost of an item in a loop that runs one executor task for each, side by side."""
    figures: Figures = {}
    async with processes.opened(url) as store:
        ref = await driver.deploy(store, workloads.side_by_side(concurrency))
        with processes.services(url, "worker", "executor") as pids:
            await processes.wait_for_startup()
            await driver.ended(store, await driver.start(store, ref, {"of": 100}))
            for count in counts:
                before = processes.cpu_seconds(pids)
                key = await driver.start(store, ref, {"of": count})
                await driver.ended(store, key, 600)
                used = processes.cpu_seconds(pids) - before
                ends = [event.time for event in await store.history(key) if event.type == "task.completed"]
                tenth = count // 10
                figures[f"us/item, {count} items"] = (ends[-1] - ends[0]) / (count - 1) * 1000
                figures[f"first tenth, {count}"] = (ends[tenth - 1] - ends[0]) / (tenth - 1) * 1000
                figures[f"last tenth, {count}"] = (ends[count - 1] - ends[count - tenth]) / (tenth - 1) * 1000
                figures[f"cpu us/item, {count}"] = used / count * 1e6
    return figures


async def _warm_up(store: EventStore, ref: Any, value: Any = None) -> None:
    keys = await driver.start_many(store, ref, 5, value or {"n": 0})
    await driver.all_ended(store, ref, keys)
