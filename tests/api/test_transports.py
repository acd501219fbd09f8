"""Sinks and sources of events in health checks and metrics."""

import asyncio
import re

import pytest
from tests.monitoring.metrics import Exposition

from unspool.api.transports import Transports
from unspool.eventstore.consumers import SENDERS, Consumer
from unspool.eventstore.sinks import SinkProgress, SinkStatus

SENDER = Consumer(SENDERS, "s1")


@pytest.fixture
async def failing(api):
    """A sink that got one of three events and then failed."""
    await api.store.keep_sinks(["http"])
    events = [{"specversion": "1.0", "id": f"{n}", "source": "/s", "type": "t"} for n in range(3)]
    await api.store.publish("default", events)
    batch = await api.store.receive_for_sink(SENDER, "http", 10, 0)
    first = batch.events[0].position
    progress = SinkProgress("default", batch.after, first, 1, failure="answers 503")
    await api.store.record_progress(SENDER, "http", progress)
    return batch


async def test_a_dead_sink_is_shown_and_leaves_the_api_ready(api, failing):
    shown = await api.get("//health/ready")

    since = shown["sinks"]["http"].pop("since")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", since)
    assert shown == {
        "status": "ready",
        "sinks": {"http": {"status": "failing", "lag": 2, "error": "answers 503"}},
    }
    last = failing.events[-1].position
    await api.store.record_progress(SENDER, "http", SinkProgress("default", failing.after, last, 2))
    async with asyncio.timeout(60):  # the state is read every two seconds
        while (shown := await api.get("//health/ready"))["sinks"]["http"]["status"] == "failing":
            await asyncio.sleep(0.05)
    assert shown["sinks"] == {"http": {"status": "works", "lag": 0}}


def test_a_sink_to_which_no_process_sends_is_shown():
    sink = SinkStatus("http", 1_000, lag=7)
    assert Transports([sink], [], 61_000).json() == {"sinks": {"http": {"status": "works", "lag": 7}}}
    assert Transports([sink], [], 240_000).json() == {"sinks": {"http": {"status": "unserved", "lag": 7}}}


async def test_metrics_have_the_figures_of_sinks(api, failing):
    text = await api.get("//metrics")
    for line in ("lag{", "sent_total{", "refused_total{", "dropped_total{", "failures_total{", "failing{"):
        assert f'unspool_event_sink_{line}sink="http"}} ' in text
    assert 'unspool_event_sink_lag{sink="http"} 2.0\n' in text
    assert 'unspool_event_sink_sent_total{sink="http"} 1.0\n' in text
    assert 'unspool_event_sink_failing{sink="http"} 1.0\n' in text
    assert Exposition(text).names


async def test_sources_are_shown(api):
    await api.store.record_source('a "b" \\', published=7, refused=2)
    await api.store.record_source("orders", failure="cannot be reached")

    shown = await api.get("//health/ready")
    assert shown["status"] == "ready"
    assert shown["sources"]['a "b" \\'] == {"status": "works"}
    assert shown["sources"]["orders"]["error"] == "cannot be reached"
    text = await api.get("//metrics")
    assert 'unspool_event_source_published_total{source="a \\"b\\" \\\\"} 7.0\n' in text
    assert 'unspool_event_source_refused_total{source="a \\"b\\" \\\\"} 2.0\n' in text
    assert 'unspool_event_source_failing{source="orders"} 1.0\n' in text


async def test_a_state_that_takes_long_delays_no_health_check(api, failing, monkeypatch):
    async def slow():
        await asyncio.sleep(60)

    await api.get("//health/ready")
    reader = api.app.state.services.transports
    monkeypatch.setattr(api.store, "sinks", slow)
    reader._read_at = -1e9
    async with asyncio.timeout(25):
        shown = await api.get("//health/ready")
    assert shown["status"] == "ready"
    assert shown["sinks"]["http"]["status"] == "failing"  # as it was


async def test_metrics_do_not_need_the_store(api):
    await api.store.close()
    assert "unspool_api_requests_in_progress 1.0" in await api.get("//metrics")
