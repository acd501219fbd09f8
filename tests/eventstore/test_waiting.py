"""Waits that another event can end."""

import asyncio

from unspool.eventstore.waiting import cancel, uninterrupted


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


async def test_work_that_releases_ends_before_a_cancellation_is_raised():
    released = asyncio.Event()
    began = asyncio.Event()

    async def release() -> None:
        began.set()
        await asyncio.sleep(0.01)
        released.set()

    task = asyncio.create_task(uninterrupted(release()))
    await began.wait()
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    assert released.is_set()
