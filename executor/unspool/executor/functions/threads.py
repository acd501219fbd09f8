"""Threads for functions that are not `async`."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeVar

from unspool.executor.task_context import acquired

Result = TypeVar("Result")

_Work = tuple["Future[Any]", Callable[[], Any]]


class FunctionThreads:
    """Runs calls in threads, at most so many at once; others wait without a slot of the executor.

    A thread cannot be ended. So they are daemon threads: a function that ignores its cancellation does not
    keep the process alive. The threads of `concurrent.futures` would.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._free = asyncio.Semaphore(most)
        self._count = 0
        self._idle = threading.Semaphore(0)
        self._queue: SimpleQueue[_Work | None] = SimpleQueue()

    async def run(self, call: Callable[[], Result]) -> Result:
        """Returns the result of a call, which must not raise.

        A call that has begun runs to its end, also if this is cancelled.
        """
        await acquired(self._free, "a thread for functions")
        loop = asyncio.get_running_loop()
        future: Future[Result] = Future()
        # When the call ends, which may be later than the task: a thread cannot be ended.
        future.add_done_callback(lambda _: self._release(loop))
        self._queue.put((future, call))
        if not self._idle.acquire(blocking=False) and self._count < self._most:
            self._count += 1
            threading.Thread(target=self._work, name=f"function {self._count}", daemon=True).start()
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Ends the threads when they are idle."""
        for _ in range(self._count):
            self._queue.put(None)

    def _release(self, loop: asyncio.AbstractEventLoop) -> None:
        with suppress(RuntimeError):  # the loop is closed: the executor has ended before the call
            loop.call_soon_threadsafe(self._free.release)

    def _work(self) -> None:
        while (work := self._queue.get()) is not None:
            future, call = work
            if future.set_running_or_notify_cancel():
                future.set_result(call())
            del future, call, work  # what a call has returned must not live until the next one
            self._idle.release()
