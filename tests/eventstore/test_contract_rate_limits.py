"""Starts at a limited rate, which all processes on the store keep together."""

import asyncio

from unspool.eventstore.rate_limits import Rate

SECOND = 1_000_000
HOUR = 3600 * SECOND


async def test_starts_are_an_interval_apart(store):
    waits = [await store.reserve_start("api", Rate(100 * SECOND), HOUR) for _ in range(4)]

    assert waits[0] == 0
    for n, wait in enumerate(waits):
        assert (n - 1) * 100 * SECOND < wait <= n * 100 * SECOND


async def test_a_burst_starts_at_once(store):
    waits = [await store.reserve_start("api", Rate(100 * SECOND, burst=3), HOUR) for _ in range(5)]

    assert waits[:3] == [0, 0, 0]
    assert 0 < waits[3] <= 100 * SECOND < waits[4] <= 200 * SECOND


async def test_a_start_that_is_too_far_away_is_not_reserved(store):
    rate = Rate(100 * SECOND)
    assert await store.reserve_start("api", rate, HOUR) == 0

    assert [await store.reserve_start("api", rate, SECOND) for _ in range(3)] == [None, None, None]
    assert await store.reserve_start("api", rate, HOUR) <= 100 * SECOND


async def test_limits_do_not_share_their_starts(store):
    rate = Rate(100 * SECOND)
    assert [await store.reserve_start(name, rate, HOUR) for name in ("a", "b", "{a}", "ä 😀")] == [0] * 4


async def test_a_pause_frees_starts(store):
    rate = Rate(20_000)
    assert await store.reserve_start("api", rate, HOUR) == 0
    await asyncio.sleep(0.05)  # longer than the interval

    assert await store.reserve_start("api", rate, HOUR) == 0


async def test_processes_keep_a_rate_together(store, other):
    rate = Rate(100 * SECOND)
    waits = await asyncio.gather(
        *(each.reserve_start("api", rate, HOUR) for each in (store, other) for _ in range(10))
    )

    assert [round(wait / 100 / SECOND) for wait in sorted(waits)] == list(range(20))
