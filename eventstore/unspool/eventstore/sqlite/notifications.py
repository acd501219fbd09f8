"""Notifications within a process: a subscriber waits for topics, a commit notifies them."""

import asyncio
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final

INBOX: Final = "inbox"
TIMERS: Final = "timers"
EVENTS: Final = "events"


def queue_topic(queue: str) -> str:
    """The topic of a task queue. The topic of an execution is its `ExecutionKey`."""
    return f"tasks:{queue}"


class Notifications:
    """Subscribers by topic. Call all methods from the event loop's thread.

    A subscriber subscribes first, then queries, then waits: so it misses no change made after its query.
    """

    def __init__(self, first_subscribed: Callable[[], None]) -> None:
        """`first_subscribed` is called when the number of subscribers rises from zero."""
        self._events: dict[Hashable, set[asyncio.Event]] = {}
        self._first_subscribed = first_subscribed

    @property
    def has_subscribers(self) -> bool:
        """Whether there are subscribers. Any thread may read it."""
        return bool(self._events)

    @contextmanager
    def subscribed(self, *topics: Hashable) -> Iterator[asyncio.Event]:
        """An event that is set when one of the topics is notified."""
        event = asyncio.Event()
        first = not self._events
        for topic in topics:
            self._events.setdefault(topic, set()).add(event)
        if first:
            self._first_subscribed()
        try:
            yield event
        finally:
            for topic in topics:
                self._unsubscribe(topic, event)

    def notify(self, topics: Iterable[Hashable]) -> None:
        """Sets the events of these topics."""
        for topic in topics:
            for event in self._events.get(topic, ()):
                event.set()

    def notify_external(self, changed: frozenset[Hashable] | None) -> None:
        """Notifies after a commit of another process: all queue topics, and the executions in `changed`.

        None means every execution.
        """
        for topic, events in self._events.items():
            if changed is None or isinstance(topic, str) or topic in changed:
                for event in events:
                    event.set()

    def notify_all(self) -> None:
        """Notifies every topic."""
        self.notify_external(None)

    def _unsubscribe(self, topic: Hashable, event: asyncio.Event) -> None:
        events = self._events[topic]
        events.discard(event)
        if not events:
            del self._events[topic]


async def is_set_within(event: asyncio.Event, seconds: float) -> bool:
    """Waits for an event and clears it; returns False if `seconds` pass first."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    event.clear()
    return True
