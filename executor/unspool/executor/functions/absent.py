"""Holds calls of functions that this executor does not have, until another executor has them."""

import asyncio
from functools import partial
from typing import Final

from unspool.definitions.function_name import RegisteredName
from unspool.eventstore.errors import StoreError
from unspool.eventstore.functions import RegisteredFunction
from unspool.eventstore.retry import JITTER
from unspool.executor.shared_calls import SharedCalls
from unspool.executor.task_context import TaskContext, TaskStore

_READ_SECONDS: Final = 2.0
"""Interval in which the registered functions are read while calls are held, once for all of them."""

_MOST_HELD: Final = 500
"""Calls that are held until an executor has their function. Others are handed back after a pause, so that the
calls behind them reach this executor."""


class AbsentFunctions:
    """The calls that one executor holds."""

    def __init__(self) -> None:
        self._held = 0
        self._reads: SharedCalls[list[RegisteredFunction]] = SharedCalls()

    async def wait(self, function: RegisteredName, queue: str, context: TaskContext) -> None:
        """Returns when a call from a queue should be handed back. It holds no slot until then."""
        with context.parked(f"an executor with the function {function}"):
            if self._held >= _MOST_HELD:
                await _pause()
                return
            self._held += 1
            try:
                while not any(_runs(each, function, queue) for each in await self._living(context.store)):
                    pass
            finally:
                self._held -= 1

    async def _living(self, store: TaskStore) -> list[RegisteredFunction]:
        return await self._reads.get("", partial(_living, store))

    async def close(self) -> None:
        """Ends a read that nothing waits for any more."""
        await self._reads.close()


async def _living(store: TaskStore) -> list[RegisteredFunction]:
    """The functions that have a live executor after a pause; none if the store cannot be reached."""
    await _pause()
    try:
        now, functions = await store.now(), await store.functions()
    except StoreError:
        return []
    return [each for each in functions if each.is_live(now)]


async def _pause() -> None:
    await asyncio.sleep(_READ_SECONDS * JITTER.uniform(0.5, 1.0))


def _runs(registered: RegisteredFunction, function: RegisteredName, queue: str) -> bool:
    return registered.queue == queue and function in {
        RegisteredName(registered.name, registered.version),
        RegisteredName(registered.name, None),
    }
