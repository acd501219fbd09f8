"""Waiting that another event can end: a stop, or a closed client connection."""

import asyncio
from collections.abc import Coroutine
from typing import Any


async def done_before(work: Coroutine[Any, Any, object], *ends: Coroutine[Any, Any, object]) -> bool:
    """Runs `work` until it is done or one of `ends` is, and cancels the others. Returns whether it was done.

    Raises whatever `work` raises.
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
