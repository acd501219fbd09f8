"""The shards that have due timers, as one process knows them from replies and notifications."""

from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from itertools import islice
from typing import Final

_STALE_ENTRIES: Final = 1_000
"""The heap may have this many outdated entries, plus one for each shard."""


class DueShards:
    """The time of the next timer of each shard, by topic; times are by the store's clock.

    A time may be too early, because the timer was cancelled or another service fired it. It is too late only
    if a notification was missed.
    """

    def __init__(self) -> None:
        self._next: dict[str, int] = {}
        self._heap: list[tuple[int, str]] = []
        self._due: dict[str, None] = {}
        """Shards that were found to be due, in the order in which they are asked."""
        self._now = 0
        """`_due` contains all shards that were due at this time."""

    def set_earlier(self, topic: str, due_at: int) -> None:
        """Records a new timer that was the earliest of its shard when it was set."""
        known = self._next.get(topic)
        if known is None or due_at < known:
            self.replace(topic, due_at)

    def replace(self, topic: str, due_at: int | None) -> None:
        """Records the reply of a shard: when its next timer is due; None if it has no timer.

        A shard that is still due keeps its place among the due shards.
        """
        if due_at is not None and due_at <= self._now:
            self._next[topic] = due_at
            self._due[topic] = None
            return
        was_due = topic in self._due
        self._due.pop(topic, None)
        if due_at is None:
            self._next.pop(topic, None)
        elif was_due or self._next.get(topic) != due_at:
            self._next[topic] = due_at
            heappush(self._heap, (due_at, topic))
            self._remove_stale_entries()

    def put_last(self, topic: str) -> None:
        """Puts a shard after the other due shards, so that its many timers do not delay those of others."""
        if topic in self._due:
            del self._due[topic]
            self._due[topic] = None

    def due(self, now: int, most: int) -> list[str]:
        """Returns at most `most` shards whose next timer is due; they stay due until `replace` is called."""
        self._now = now
        while self._heap and self._heap[0][0] <= now:
            due_at, topic = heappop(self._heap)
            if self._next.get(topic) == due_at:
                self._due[topic] = None
        return list(islice(self._due, most))

    def next_due_at(self) -> int | None:
        """When the next timer of all shards is due; None if there is none."""
        while self._heap and self._next.get(self._heap[0][1]) != self._heap[0][0]:
            heappop(self._heap)
        return min(self._earliest(), default=None)

    def _earliest(self) -> Iterator[int]:
        yield from (self._next[topic] for topic in self._due)
        yield from (due_at for due_at, _ in self._heap[:1])

    def _remove_stale_entries(self) -> None:
        if len(self._heap) > 2 * len(self._next) + _STALE_ENTRIES:
            self._heap = [(due_at, topic) for topic, due_at in self._next.items() if topic not in self._due]
            heapify(self._heap)
