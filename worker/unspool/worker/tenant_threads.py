"""Threads for slow work; they serve tenants in turn."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Any, TypeVar

from unspool.definitions.expressions.tenant_queue import TenantQueue
from unspool.eventstore.records import ExecutionKey

_Result = TypeVar("_Result")


class Work:
    """A function that waits for a thread."""

    def __init__(self, key: ExecutionKey, function: Callable[[], Any]) -> None:
        self.key = key
        """The execution that it is for."""
        self.since = time.monotonic()
        self.future: Future[Any] = Future()
        self._function = function

    def run(self) -> None:
        """Calls the function and sets the future."""
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self._function()
        except BaseException as error:  # noqa: BLE001 - the caller gets it
            self.future.set_exception(error)
        else:
            self.future.set_result(result)

    def fail(self, error: Exception) -> None:
        """Sets an error instead of the result."""
        if self.future.set_running_or_notify_cancel():
            self.future.set_exception(error)


class TenantThreads:
    """Runs functions in threads. A free thread takes work of the waiting tenant with the fewest calls.

    With one queue for all tenants, many slow expressions of one tenant would delay the others.
    """

    def __init__(self, threads: int) -> None:
        self.size = threads
        """How many threads there are."""
        self._threads = ThreadPoolExecutor(threads, "decisions")
        self._free = threads
        self._queue: TenantQueue[Work] = TenantQueue()
        self._lock = Lock()

    async def run(self, key: ExecutionKey, function: Callable[[], _Result]) -> _Result:
        """Returns the result of the function, or raises its exception, or that of `Work.fail`."""
        work = Work(key, function)
        self.add(work)
        result: _Result = await asyncio.wrap_future(work.future)
        return result

    def add(self, work: Work) -> None:
        """Adds work that waits."""
        with self._lock:
            self._queue.add(work.key.tenant, work)
        self._threads.submit(self._run_next)

    @property
    def busy(self) -> int:
        """How many threads run a function."""
        with self._lock:
            return self.size - self._free

    @property
    def all_busy(self) -> bool:
        """Whether more work would have to wait."""
        with self._lock:
            return self._free == 0 or bool(self._queue)

    def waiting(self) -> list[str]:
        """The tenants whose work waits for a thread."""
        with self._lock:
            return self._queue.tenants()

    def longest_wait(self) -> float:
        """For how many seconds work has waited. 0 if none waits."""
        with self._lock:
            since = min((work.since for work in self._queue.oldest()), default=None)
        return 0.0 if since is None else time.monotonic() - since

    def take_waiting(self, others: int) -> list[Work]:
        """Removes work that waits, so much that as many others could share it equally.

        Of each tenant the work that would begin last; at least one piece.
        """
        with self._lock:
            taken: list[Work] = []
            for tenant in self._queue.tenants():
                share = -(-self._queue.count(tenant) * others // (others + 1))
                taken += self._queue.take_last(tenant, share)
            return taken

    def _run_next(self) -> None:
        with self._lock:
            if not self._queue:  # the work was taken away
                return
            tenant, work = self._queue.next()
            self._free -= 1
        try:
            work.run()
        finally:
            with self._lock:
                self._queue.end(tenant)
                self._free += 1
