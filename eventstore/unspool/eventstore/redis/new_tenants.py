"""Learns of tenants that other processes add, as soon as they are added.

Without it, a process reads the list of tenants once a second. It still does, because an announcement can be
missed.
"""

from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack

from unspool.eventstore.redis import keys
from unspool.eventstore.redis.notifications import ALL_TOPICS, Notifications, Watch


class NewTenants:
    """Tells listeners of new tenants."""

    def __init__(self, notifications: Notifications, learn: Callable[[Iterable[str]], None]) -> None:
        """`learn` is called with new tenants, before the listeners."""
        self._notifications = notifications
        self._learn = learn
        self._listeners: set[Callable[[], None]] = set()
        self._watch: Watch | None = None
        self._watching = AsyncExitStack()

    async def listen(self, listener: Callable[[], None]) -> bool:
        """Calls the listener for each new tenant from now on.

        Call it again from time to time: it subscribes again after the connection has broken.

        Returns:
            Whether announcements may have been missed before.
        """
        self._listeners.add(listener)
        if self._watch is not None and not self._watch.over:
            return False
        await self._watching.aclose()
        watch = self._notifications.watch(keys.TENANTS_CHANNEL, ALL_TOPICS, self._notified)
        self._watch = await self._watching.enter_async_context(watch)
        return True

    def ignore(self, listener: Callable[[], None]) -> None:
        """Calls the listener no more."""
        self._listeners.discard(listener)

    async def close(self) -> None:
        """Ends the subscription."""
        await self._watching.aclose()

    def _notified(self) -> None:
        if self._watch is None or not self._watch.topics:
            return
        tenants = [topic.decode() for topic in self._watch.topics]
        self._watch.topics.clear()
        self._learn(tenants)
        for listener in [*self._listeners]:
            listener()
