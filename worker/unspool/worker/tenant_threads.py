"""Threads for slow work; they serve tenants in turn."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import TypeVar

from unspool.definitions.expressions.tenant_queue import TenantQueue

_Result = TypeVar("_Result")


class TenantThreads:
    """Runs functions in threads. A free thread takes work of the waiting tenant with the fewest calls.

    With one queue for all tenants, many slow expressions of one tenant would delay the others.
    """

    def __init__(self, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads, "decisions")
        self._queue: TenantQueue[Callable[[], None]] = TenantQueue()
        self._lock = Lock()

    async def run(self, tenant: str, work: Callable[[], _Result]) -> _Result:
        """Returns the result of the work, or raises its exception."""
        future: Future[_Result] = Future()
        with self._lock:
            self._queue.add(tenant, lambda: _complete(future, work))
        self._threads.submit(self._run_next)
        return await asyncio.wrap_future(future)

    def waiting(self) -> list[str]:
        """The tenants whose work waits for a thread."""
        with self._lock:
            return self._queue.tenants()

    def _run_next(self) -> None:
        with self._lock:
            tenant, work = self._queue.next()
        try:
            work()
        finally:
            with self._lock:
                self._queue.end(tenant)


def _complete(future: Future[_Result], work: Callable[[], _Result]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001 - the caller gets it
        future.set_exception(error)
    else:
        future.set_result(result)
