"""Waits that another event can end, such as a stop or a closed client connection."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, Final

_AGAIN_SECONDS: Final = 10.0
"""More than what a cancelled task does before it ends."""


async def done_before(work: Coroutine[Any, Any, object], *ends: Coroutine[Any, Any, object]) -> bool:
    """Runs `work` and `ends` until one of them is done, and cancels the others.

    Returns whether `work` was done. Raises the exception of `work`.
    """
    tasks = [asyncio.ensure_future(coroutine) for coroutine in (work, *ends)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await cancel(tasks)
    if tasks[0] in done:
        tasks[0].result()
    return tasks[0] in done


async def cancel(tasks: Iterable[asyncio.Task[Any]], again: float = _AGAIN_SECONDS) -> None:
    """Cancels tasks and waits until they have ended. Their exceptions are not raised.

    A task that goes on is cancelled again after `again` seconds, because a library can lose a cancellation:
    `asyncio.wait_for` does on Python 3.11 when what it waits for is done at the same moment.
    """
    tasks = list(tasks)
    running = {task for task in tasks if not task.done()}
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=again)
    await asyncio.gather(*tasks, return_exceptions=True)


async def uninterrupted(work: Coroutine[Any, Any, object]) -> None:
    """Runs work that releases something to its end, also if the caller is cancelled once meanwhile.

    The cancellation is raised after that. A second one does not wait.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # nothing else asks for it
        raise
