"""Being woken instead of asking again and again: one connection that listens to channels.

A message on a channel is a list of topics, with blanks between them.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import chain
from typing import Any, Final

from unspool.eventstore.errors import StoreError, StoreUnavailable
from unspool.eventstore.redis.link import Link

_LINGER_SECONDS: Final = 5.0
"""How long a channel is listened to that nobody watches: whoever waited for a step waits for the next one."""

Linking = Callable[[Callable[[Any], None], Callable[[StoreError], None]], Awaitable[Link]]
"""Makes a link, given what to do with replies and when it ends."""


class Watch:
    """One listener's view of a topic."""

    __slots__ = ("_news", "over")

    def __init__(self) -> None:
        self._news = asyncio.Event()
        self.over = False
        """Whether the connection broke: nothing will come any more, and something may have been missed."""

    async def changed(self, seconds: float) -> None:
        """Returns at news since the last call, when the watch is over, or when the time is."""
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return
        self._news.clear()

    def forget(self) -> None:
        """Lets `changed` wait for what comes from now on."""
        if not self.over:
            self._news.clear()

    def wake(self, *, over: bool = False) -> None:
        """Lets `changed` return."""
        self.over = self.over or over
        self._news.set()


class _Channel:
    """A channel somebody listens to."""

    __slots__ = ("leaving", "subscribed", "watches")

    def __init__(self) -> None:
        self.leaving: asyncio.TimerHandle | None = None
        """What ends it, when nobody watches."""
        self.subscribed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.watches: dict[bytes, set[Watch]] = {}
        """By topic."""

    def add(self, topic: bytes, watch: Watch) -> None:
        if self.leaving is not None:
            self.leaving.cancel()
            self.leaving = None
        self.watches.setdefault(topic, set()).add(watch)

    def discard(self, topic: bytes, watch: Watch) -> None:
        of_topic = self.watches[topic]
        of_topic.discard(watch)
        if not of_topic:
            del self.watches[topic]

    def tell(self, topics: bytes) -> None:
        for topic in topics.split():
            for watch in self.watches.get(topic, ()):
                watch.wake()


class News:
    """Listens to channels of Redis (publish/subscribe)."""

    def __init__(self, linking: Linking, reply_seconds: float) -> None:
        """Connects when the first channel is watched.

        Args:
            linking: makes the link.
            reply_seconds: how long Redis may take to confirm a subscription.
        """
        self._linking = linking
        self._reply_seconds = reply_seconds
        self._link: Link | None = None
        self._connecting = asyncio.Lock()
        self._channels: dict[str, _Channel] = {}

    @asynccontextmanager
    async def watch(self, name: str, topic: str) -> AsyncIterator[Watch]:
        """Listens for a topic on a channel as long as the context lasts; on entering, nothing more is missed.

        Raises:
            StoreUnavailable: Redis cannot be reached.
        """
        link = await self._connected()
        channel = self._channels.get(name)
        if channel is None:
            channel = self._channels[name] = _Channel()
            link.send(("SUBSCRIBE", name))
        watch = Watch()
        channel.add(topic.encode(), watch)
        try:
            await self._confirmed(link, channel)
            yield watch
        finally:
            channel.discard(topic.encode(), watch)
            if not channel.watches:
                later = asyncio.get_running_loop().call_later
                channel.leaving = later(_LINGER_SECONDS, self._leave, name, channel)

    async def close(self) -> None:
        """Ends all watches."""
        if self._link is not None:
            await self._link.close()

    def _leave(self, name: str, channel: _Channel) -> None:
        if self._link is not None and self._channels.get(name) is channel:
            del self._channels[name]
            self._link.send(("UNSUBSCRIBE", name))

    async def _connected(self) -> Link:
        async with self._connecting:
            if self._link is None:
                self._link = await self._linking(self._received, self._ended)
            return self._link

    async def _confirmed(self, link: Link, channel: _Channel) -> None:
        try:
            async with asyncio.timeout(self._reply_seconds):
                await asyncio.shield(channel.subscribed)
        except TimeoutError:
            error = StoreUnavailable("Redis does not confirm a subscription")
            link.end(error)
            raise error from None

    def _received(self, reply: Any) -> None:
        if isinstance(reply, Exception):
            self._refused(reply)
            return
        kind, name, content = reply
        channel = self._channels.get(name.decode())
        if channel is None:
            return
        if kind == b"subscribe" and not channel.subscribed.done():
            channel.subscribed.set_result(None)
        elif kind == b"message":
            channel.tell(content)

    def _refused(self, reply: Exception) -> None:
        """Ends everything: which subscription it was that is not allowed, the reply does not say."""
        if self._link is not None:
            self._link.end(StoreUnavailable(f"Redis refuses a subscription: {reply}"))

    def _ended(self, error: StoreError) -> None:
        self._link = None
        channels, self._channels = self._channels, {}
        for channel in channels.values():
            if not channel.subscribed.done():
                channel.subscribed.set_exception(StoreUnavailable(str(error)))
                channel.subscribed.exception()  # marked as seen: its watcher may have been cancelled
            for watch in chain.from_iterable(channel.watches.values()):
                watch.wake(over=True)
