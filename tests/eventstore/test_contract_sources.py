"""The figures of sources of events."""

import asyncio


async def test_counts_are_added_up(store):
    assert await store.sources() == []
    before = await store.now()

    await store.record_source("orders", published=3)
    await store.record_source("orders", published=2, refused=1)
    await store.record_source("a b")

    [other, orders] = await store.sources()
    assert (orders.name, orders.published, orders.refused) == ("orders", 5, 1)
    assert (other.name, other.published, other.refused) == ("a b", 0, 0)
    assert before <= orders.seen_at <= await store.now()
    assert (orders.failing_since, orders.failure) == (None, "")


async def test_a_failure_lasts_until_a_record_without_one(store):
    await store.record_source("orders", failure="first")
    since = (await store.sources())[0].failing_since
    await asyncio.sleep(0.005)
    await store.record_source("orders", published=1, failure="second")

    [failing] = await store.sources()
    assert (failing.failing_since, failing.failure, failing.published) == (since, "second", 1)
    assert failing.failing_since < failing.seen_at
    await store.record_source("orders")
    [works] = await store.sources()
    assert (works.failing_since, works.failure, works.published) == (None, "", 1)


async def test_all_processes_see_the_figures(store, other):
    calls = [by.record_source("orders", published=1) for by in (store, other) for _ in range(20)]
    await asyncio.gather(*calls)
    [orders] = await other.sources()
    assert orders.published == 40
