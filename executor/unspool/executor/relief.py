"""Gives calls that wait for a limit to executors that are free.

An executor receives a task before it knows that the call must wait, and each executor has limits of its own:
calls at once to a host, hosts that do not answer. It keeps its share of the calls that wait. Meanwhile it
receives nothing, because it would get the same ones again.
"""

import asyncio
from collections.abc import Collection
from typing import Final

from unspool.eventstore.consumers import Consumer
from unspool.eventstore.port import EventStore
from unspool.executor.running import Running, StopReason

RELIEF_SECONDS: Final = 1.0
"""Interval of `Relief.relieve`."""

_WAIT_SECONDS: Final = 1.0
"""Calls that wait for a shorter time are kept."""

_PAUSE_SECONDS: Final = 3.0
"""Time between two times that calls are given back. By then, the heartbeat of an executor that took the first
ones says so."""

_KEPT_OF_SLOTS: Final = 8
"""An executor keeps so many waiting calls as this part of its slots, and counts as free with them."""


class Relief:
    """The relief of one executor."""

    def __init__(self, store: EventStore, consumer: Consumer, slots: int) -> None:
        self._store = store
        self._consumer = consumer
        self._kept = slots // _KEPT_OF_SLOTS
        self._given_back_at = -_PAUSE_SECONDS
        self.leaves_tasks = False
        """Whether new tasks are for other executors."""

    def is_full(self, running: Collection[Running]) -> bool:
        """Whether more calls wait than the executor keeps."""
        return len(_movable(running)) > self._kept

    async def relieve(self, running: Collection[Running], *, receives: bool) -> None:
        """Stops calls that wait, for their release, if there are many and another executor is free.

        Args:
            running: the tasks of the executor.
            receives: whether it is receiving tasks now. It could receive again what it gives back.
        """
        others = await self._store.others_free(self._consumer) if self.is_full(running) else 0
        self.leaves_tasks = others > 0
        now = asyncio.get_running_loop().time()
        if others and not receives and now >= self._given_back_at + _PAUSE_SECONDS:
            self._given_back_at = now
            waiting = _movable(running)
            await _stop(waiting[max(self._kept, len(waiting) // (others + 1)) :])


def _movable(running: Collection[Running]) -> list[Running]:
    return [each for each in running if each.can_move(_WAIT_SECONDS)]


async def _stop(some: Collection[Running]) -> None:
    for each in some:
        each.stop(StopReason.GIVEN_BACK)
    if some:
        await asyncio.wait({each.task for each in some})
