"""A queue that serves tenants in turn."""

from collections import Counter, OrderedDict, deque
from typing import Generic, TypeVar

_Entry = TypeVar("_Entry")


class TenantQueue(Generic[_Entry]):
    """Entries of tenants; the next one is of the tenant that is served the least. Not thread-safe.

    Between tenants with equally many entries in service, the one whose last turn is longest ago is next.
    Entries of one tenant leave in order. So a tenant gets more than its share only while no other waits.
    """

    def __init__(self) -> None:
        self._serving: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[_Entry]] = OrderedDict()

    def __bool__(self) -> bool:
        """Whether an entry waits."""
        return bool(self._waiting)

    def tenants(self) -> list[str]:
        """Returns the tenants whose entries wait."""
        return list(self._waiting)

    def oldest(self) -> list[_Entry]:
        """Returns the first entry of each tenant that waits."""
        return [entries[0] for entries in self._waiting.values()]

    def count(self, tenant: str) -> int:
        """Returns how many entries of the tenant wait."""
        return len(self._waiting.get(tenant, ()))

    def take_last(self, tenant: str, count: int) -> list[_Entry]:
        """Removes the last entries of a tenant, at most `count`; returns them in order."""
        entries = self._waiting.get(tenant, deque())
        taken = [entries.pop() for _ in range(min(count, len(entries)))][::-1]
        if taken and not entries:
            del self._waiting[tenant]
        return taken

    def add(self, tenant: str, entry: _Entry) -> None:
        """Adds an entry that waits."""
        self._waiting.setdefault(tenant, deque()).append(entry)

    def next(self) -> tuple[str, _Entry]:
        """Removes the next entry and starts its service. Raises ValueError when the queue is empty."""
        tenant = min(self._waiting, key=lambda waiting: self._serving[waiting])
        entries = self._waiting[tenant]
        entry = entries.popleft()
        self._waiting.move_to_end(tenant)
        if not entries:
            del self._waiting[tenant]
        self.start(tenant)
        return tenant, entry

    def start(self, tenant: str) -> None:
        """Counts a service of the tenant that did not wait."""
        self._serving[tenant] += 1

    def end(self, tenant: str) -> None:
        """Ends a service of the tenant."""
        self._serving[tenant] -= 1
        if not self._serving[tenant]:
            del self._serving[tenant]
        if tenant in self._waiting:
            self._waiting.move_to_end(tenant)
