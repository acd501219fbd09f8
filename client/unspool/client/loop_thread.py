"""An event loop on a thread of its own, for callers without one."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Coroutine, Iterator
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


class LoopThread:
    """Runs coroutines for other threads until it is closed."""

    def __init__(self) -> None:
        started: Future[None] = Future()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(started)), name="unspool-client", daemon=True
        )
        self._thread.start()
        started.result()

    @property
    def alive(self) -> bool:
        """Whether it has not been closed."""
        return self._thread.is_alive()

    def run(self, coroutine: Coroutine[None, None, T]) -> T:
        """Runs a coroutine; returns its result or raises its error. An interrupt of the caller cancels it.

        Raises:
            RuntimeError: the loop is closed.
        """
        if not self.alive:
            coroutine.close()
            raise RuntimeError("the client is closed")
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        finally:
            future.cancel()  # does nothing to one that is done

    def iterate(self, items: AsyncGenerator[T, None]) -> Iterator[T]:
        """Yields the items of an asynchronous generator, and closes it at the end."""
        try:
            while found := self.run(_next(items)):
                yield from found
        finally:
            if self.alive:
                self.run(items.aclose())

    def close(self) -> None:
        """Ends the loop and its thread."""
        if self.alive:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    async def _serve(self, started: Future[None]) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        started.set_result(None)
        await self._stop.wait()


async def _next(items: AsyncGenerator[T, None]) -> list[T]:
    """The next item; nothing at the end."""
    try:
        return [await anext(items)]
    except StopAsyncIteration:
        return []
