"""Pauses of this process: of its machine, by a debugger, or by a computation that blocks the event loop.

After a pause the timers that are due run before the replies that have arrived meanwhile are read. So a time
limit alone cannot tell a silent Redis from a paused process. A timer that runs late can.
"""

import asyncio
from typing import Any, Final

SECONDS_AFTER_PAUSE: Final = 1.0
"""How long a process waits after a pause for what it has waited for before."""

_LATE_SECONDS: Final = 0.1


def was_paused(due: float, now: float) -> bool:
    """Whether a timer that was due at one time of the event loop's clock, and runs now, shows a pause."""
    return now - due > _LATE_SECONDS


async def within(seconds: float, answer: asyncio.Future[Any]) -> bool:
    """Whether a future is done after so many seconds at most, without those of a pause."""
    loop = asyncio.get_running_loop()
    due = loop.time() + seconds
    await asyncio.wait((answer,), timeout=seconds)
    if not answer.done() and was_paused(due, loop.time()):
        await asyncio.wait((answer,), timeout=SECONDS_AFTER_PAUSE)
    return answer.done()
