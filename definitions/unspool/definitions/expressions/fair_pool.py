"""A pool of items that tenants take in turn."""

from collections.abc import Iterable
from concurrent.futures import Future
from threading import Lock
from typing import Generic, TypeVar

from unspool.definitions.expressions.tenant_queue import TenantQueue

_Item = TypeVar("_Item")


class FairPool(Generic[_Item]):
    """Gives a free item to the waiting tenant that holds the fewest. Thread-safe.

    A tenant that holds none waits for one item at most, however many calls of others are queued.
    """

    def __init__(self, items: Iterable[_Item]) -> None:
        self._free = list(items)
        self._queue: TenantQueue[Future[_Item]] = TenantQueue()
        """The calls that wait; empty while items are free."""
        self._lock = Lock()

    def take(self, tenant: str) -> _Item:
        """Waits for a free item and returns it; if there are several, the one that was used last."""
        with self._lock:
            if self._free:
                self._queue.start(tenant)
                return self._free.pop()
            turn: Future[_Item] = Future()
            self._queue.add(tenant, turn)
        return turn.result()

    def put_back(self, tenant: str, item: _Item) -> None:
        """Returns an item that the tenant has taken, or another one in its place."""
        with self._lock:
            self._queue.end(tenant)
            if self._queue:
                _, turn = self._queue.next()
                turn.set_result(item)
            else:
                self._free.append(item)
