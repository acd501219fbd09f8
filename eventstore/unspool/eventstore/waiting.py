"""Waits that another event can end, such as a stop or a closed client connection."""

import asyncio
from collections.abc import Coroutine
from typing import Any


async def done_before(work: Coroutine[Any, Any, object], *ends: Coroutine[Any, Any, object]) -> bool:
    """Runs `work` and `ends` until one of them is done, and cancels the others.

    Returns whether `work` was done. Raises the exception of `work`.
    """
    tasks = [asyncio.ensure_future(coroutine) for coroutine in (work, *ends)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if tasks[0] in done:
        tasks[0].result()
    return tasks[0] in done
