"""Folded histories: the same states as a fold from the first event, and copies that shorten it."""

import random
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from unspool.api.folded_histories import INTERVAL, FoldedHistories
from unspool.diagram.timeline import Bars
from unspool.eventstore.events import Event
from unspool.eventstore.opening import open_store
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import Commit, ExecutionKey, ExecutionRecord, Start, WorkflowRef
from unspool.worker.interpreter import State, fold

KEY = ExecutionKey("default", "long")
RUNS = 900


def history() -> list[Event]:
    """A loop with many runs: three events each, and one before them."""
    told: list[tuple[str, str | None, str | None, dict[str, Any]]] = [
        ("workflow.started", None, None, {"input": {}})
    ]
    for run in range(1, RUNS + 1):
        place = ("/do/0/a", str(run))
        told.append(("task.created", *place, {"parent": "0"}))
        told.append(("task.started", *place, {}))
        told.append(("task.completed", *place, {"output": {"n": run}}))
    return [Event(seq, type_, 1_000, *rest) for seq, (type_, *rest) in enumerate(told, 1)]


EVENTS = history()


@pytest.fixture
async def store() -> AsyncIterator[EventStore]:
    opened = await open_store("sqlite://", {})
    await opened.start(Start(KEY, WorkflowRef("shop", "w", "1.0.0"), {}, 1_000))
    for after in range(0, len(EVENTS), 400):
        some = tuple(EVENTS[after : after + 400])
        await opened.commit(Commit(key=KEY, commit_id=f"c{after}", expected_version=after, events=some))
    yield opened
    await opened.close()


async def record_in(store: EventStore) -> ExecutionRecord:
    record = await store.execution(KEY)
    assert record is not None
    return record


async def test_the_log_is_that_of_a_fold_from_the_first_event(store):
    folded, record = FoldedHistories(store), await record_in(store)
    places = [0, 1, INTERVAL, INTERVAL + 1, 2 * INTERVAL, len(EVENTS), *range(3, len(EVENTS), 137)]
    random.Random(7).shuffle(places)
    for at in places:
        log = await folded.log_at(record, at)
        assert log is not None
        assert log.state == fold(State(KEY.id), EVENTS[:at])
        assert sum(totals.runs for totals in log.totals.values()) == len(
            [event for event in EVENTS[:at] if event.type == "task.created"]
        )


async def test_a_page_of_runs_is_the_same_from_a_copy(store):
    folded, record, bars = FoldedHistories(store), await record_in(store), Bars(100, 50)
    first = await folded.log_at(record, len(EVENTS), bars)
    again = await folded.log_at(record, len(EVENTS), Bars(100, 50))
    assert first is not None
    assert again is not None
    assert first.runs == again.runs
    assert sorted(map(int, again.runs)) == list(range(101, 151))


async def test_the_events_before_a_copy_are_not_read_again(store):
    folded, record = FoldedHistories(store), await record_in(store)
    await folded.log_at(record, len(EVENTS))
    await store.trim_history(KEY, 2 * INTERVAL)
    log = await folded.log_at(record, 2 * INTERVAL + 500)
    assert log is not None
    assert log.state.version == 2 * INTERVAL + 500


async def test_a_log_of_a_deleted_execution_is_none(store):
    folded, record = FoldedHistories(store, most_bytes=0), await record_in(store)
    assert await folded.log_at(record, len(EVENTS)) is not None
    gone = replace(record, key=ExecutionKey("default", "gone"))
    assert await folded.log_at(gone, 5) is None


@pytest.mark.parametrize("most", [0, 500, 5_000])
async def test_few_bytes_are_enough(store, most):
    folded, record = FoldedHistories(store, most_bytes=most), await record_in(store)
    for at in (len(EVENTS), INTERVAL, 1_500, 2_500):
        log = await folded.log_at(record, at)
        assert log is not None
        assert log.state == fold(State(KEY.id), EVENTS[:at])
