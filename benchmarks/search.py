"""Measures lists of executions in a store with very many."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from itertools import islice
from statistics import median

from benchmarks import driver, processes
from benchmarks.measurements import Figures
from unspool.eventstore.events import Event
from unspool.eventstore.ids import new_id
from unspool.eventstore.listing import ExecutionFilter
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import Commit, ExecutionKey, IndexUpdate, Parent, Start, Status, WorkflowRef

BATCH = 500
REPEATS = 15
PAGE = 50
USUAL = WorkflowRef("bench", "usual", "1.0.0")
RARE = WorkflowRef("bench", "rare", "1.0.0")
BEGAN = 1_700_000_000_000


async def pages_of_many(url: str, count: int) -> Figures:
    """Fills a store, one execution a millisecond, and measures pages of its lists (milliseconds, medians)."""
    async with processes.opened(url) as store:
        took = await _fill(store, count)
        deep = (
            await store.executions(driver.TENANT, ExecutionFilter(until=BEGAN + count // 100), limit=PAGE)
        ).cursor
        figures: Figures = {"executions": count, "filled/s": count / took}
        for name, criteria in _filters(count).items():
            figures[name] = await _time_of(store, criteria)
        figures["deep page"] = await _time_of(store, ExecutionFilter(), deep)
        figures["deep page of a status"] = await _time_of(
            store, ExecutionFilter(frozenset({Status.COMPLETED})), deep
        )
        figures["counts"] = await _median(lambda: store.count_executions(driver.TENANT))
        return figures


def _filters(count: int) -> dict[str, ExecutionFilter]:
    completed, faulted = frozenset({Status.COMPLETED}), frozenset({Status.FAULTED})
    usual, rare = USUAL[:2], RARE[:2]
    half = BEGAN + count // 2
    return {
        "first page": ExecutionFilter(),
        "status": ExecutionFilter(completed),
        "two statuses": ExecutionFilter(completed | faulted),
        "workflow": ExecutionFilter(workflow=usual),
        "rare workflow": ExecutionFilter(workflow=rare),
        "version": ExecutionFilter(workflow=usual, version="1.0.0"),
        "since, until": ExecutionFilter(since=half, until=half + 10_000),
        "id": ExecutionFilter(id="order-500"),
        "id prefix": ExecutionFilter(id_prefix="order-5"),
        "parent": ExecutionFilter(parent="order-500"),
        "tag": ExecutionFilter(tags={"customer": "7"}),
        "tag, status": ExecutionFilter(faulted, tags={"customer": "7"}),
        "rare workflow, usual status": ExecutionFilter(completed, workflow=rare),
        "usual workflow, rare status": ExecutionFilter(faulted, workflow=usual),
        "page of a usual workflow and status with no match": ExecutionFilter(
            completed, workflow=usual, version="9.0.0"
        ),
    }


async def _fill(store: EventStore, count: int) -> float:
    began = time.perf_counter()
    starts = _starts(count)
    while batch := list(islice(starts, BATCH)):
        await asyncio.gather(*map(store.start, batch))
        await store.commit_all([_ended(start) for start in batch])
    return time.perf_counter() - began


def _starts(count: int) -> Iterator[Start]:
    for number in range(count):
        created_at = BEGAN + number
        id_ = f"order-{number}" if number % 500 == 0 else new_id(created_at)
        yield Start(
            ExecutionKey(driver.TENANT, id_),
            RARE if number % 10_000 == 1 else USUAL,
            {},
            created_at,
            Parent("order-500", "1", 1) if number % 10_000 == 2 else None,
            tags={"customer": str(number // 10 % 1000)} if number % 10 == 0 else {},
        )


def _ended(start: Start) -> Commit:
    status = Status.FAULTED if start.created_at % 500 == 0 else Status.COMPLETED
    return Commit(
        key=start.key,
        commit_id=start.key.id,
        expected_version=0,
        events=(Event(1, f"workflow.{status}", start.created_at, None, None, {}),),
        index=IndexUpdate(status, start.created_at, start.created_at),
    )


async def _time_of(store: EventStore, criteria: ExecutionFilter, cursor: str | None = None) -> float:
    return await _median(lambda: store.executions(driver.TENANT, criteria, limit=PAGE, cursor=cursor))


async def _median(call: Callable[[], Awaitable[object]]) -> float:
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        await call()
        times.append((time.perf_counter() - began) * 1000)
    return median(times)
