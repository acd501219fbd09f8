"""Rests between two pieces of work that deletes, so that the store has time for others."""

import asyncio
from typing import Final

_PART: Final = 0.25
"""The rest, as a part of the time of the work. A long one would be slower than the executions that end."""

_SHORTEST: Final = 0.005

LONGEST_PAUSE: Final = 0.1
"""Seconds."""


async def rest_after(worked: float) -> None:
    """Rests after a piece of work that took so many seconds."""
    await asyncio.sleep(min(max(_SHORTEST, _PART * worked), LONGEST_PAUSE))
