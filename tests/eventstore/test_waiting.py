"""Waits that another event can end."""

import asyncio

from unspool.eventstore.waiting import cancel


async def test_a_task_that_loses_a_cancellation_is_cancelled_again():
    cancellations = 0

    async def stubborn() -> None:
        nonlocal cancellations
        while cancellations < 3:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                cancellations += 1

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    await cancel([task], again=0.01)
    assert task.done()
    assert cancellations == 3


async def test_what_cancelled_tasks_raise_is_not_raised():
    async def fails() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            raise ValueError

    task = asyncio.create_task(fails())
    await asyncio.sleep(0)
    await cancel([task])
    assert isinstance(task.exception(), ValueError)
