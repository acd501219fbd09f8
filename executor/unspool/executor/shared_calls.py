"""Calls that many wait for: those with the same key share one."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class SharedCalls(Generic[Value]):
    """The calls that run, by key."""

    def __init__(self) -> None:
        self._running: dict[str, asyncio.Task[Value]] = {}

    async def get(self, key: str, call: Callable[[], Awaitable[Value]]) -> Value:
        """The result of the call with a key; begins it with `call` if none runs. Raises what it raises."""
        running = self._running.get(key)
        if running is None:
            running = self._running[key] = asyncio.create_task(_awaited(call))
            running.add_done_callback(lambda done: self._ended(key, done))
        # Shielded, because others may wait for it when this one is cancelled.
        return await asyncio.shield(running)

    def _ended(self, key: str, done: asyncio.Task[Value]) -> None:
        del self._running[key]
        if not done.cancelled():
            done.exception()  # each that still waits has it

    async def close(self) -> None:
        """Ends the calls that nothing waits for any more."""
        running = list(self._running.values())
        for each in running:
            each.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _awaited(call: Callable[[], Awaitable[Value]]) -> Value:
    return await call()
