"""Notifications from Redis (publish/subscribe) instead of polling, over one connection.

A message on a channel is a list of topics, separated by spaces.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import chain
from typing import Any, Final

from unspool.eventstore.errors import StoreError, StoreUnavailable
from unspool.eventstore.redis.pauses import within
from unspool.eventstore.redis.socket_connection import SocketConnection

_UNSUBSCRIBE_DELAY_SECONDS: Final = 5.0
"""How long a channel without watches stays subscribed: a caller often waits for the next step too."""

ALL_TOPICS: Final = "*"
"""Watches all topics of a channel."""

Connect = Callable[[Callable[[Any], None], Callable[[StoreError], None]], Awaitable[SocketConnection]]
"""Opens a connection; its arguments are called with each reply and when the connection ends."""


class Watch:
    """A subscription to one topic."""

    __slots__ = ("_event", "_notified", "over", "topics")

    def __init__(self, notified: Callable[[], None] | None = None) -> None:
        self._event = asyncio.Event()
        self._notified = notified
        self.topics: dict[bytes, None] = {}
        """For a watch of all topics: the notified topics, in order. The owner of the watch removes them."""
        self.over = False
        """Whether the connection broke: notifications may have been missed."""

    async def changed(self, seconds: float) -> None:
        """Returns after a notification since the last call, when the watch is over, or after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return
        self._event.clear()

    def forget(self) -> None:
        """Ignores earlier notifications: `changed` waits for the next one."""
        if not self.over:
            self._event.clear()

    def wake(self, *, over: bool = False) -> None:
        """Makes `changed` return."""
        self.over = self.over or over
        self._event.set()
        if self._notified is not None:
            self._notified()


class _Channel:
    """A subscribed channel."""

    __slots__ = ("subscribed", "unsubscribing", "watches")

    def __init__(self) -> None:
        self.unsubscribing: asyncio.TimerHandle | None = None
        """The timer that unsubscribes; None while there are watches."""
        self.subscribed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.watches: dict[bytes, set[Watch]] = {}
        """By topic."""

    def add(self, topic: bytes, watch: Watch) -> None:
        if self.unsubscribing is not None:
            self.unsubscribing.cancel()
            self.unsubscribing = None
        self.watches.setdefault(topic, set()).add(watch)

    def discard(self, topic: bytes, watch: Watch) -> None:
        of_topic = self.watches[topic]
        of_topic.discard(watch)
        if not of_topic:
            del self.watches[topic]

    def notify(self, topics: bytes) -> None:
        for watch in self.watches.get(ALL_TOPICS.encode(), ()):
            watch.topics.update(dict.fromkeys(topics.split()))
            watch.wake()
        for topic in topics.split():
            for watch in self.watches.get(topic, ()):
                watch.wake()


class Notifications:
    """Subscriptions to channels of Redis."""

    def __init__(self, connect: Connect, reply_seconds: float) -> None:
        """Connects when the first channel is watched.

        Args:
            connect: opens the connection.
            reply_seconds: how long Redis may take to confirm a subscription.
        """
        self._connect = connect
        self._reply_seconds = reply_seconds
        self._socket: SocketConnection | None = None
        self._connecting = asyncio.Lock()
        self._channels: dict[str, _Channel] = {}
        self._pings: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def watch(
        self, name: str, topic: str, notified: Callable[[], None] | None = None
    ) -> AsyncIterator[Watch]:
        """Watches a topic of a channel until the context ends. No notification after entry is missed.

        Args:
            name: the channel.
            topic: the topic, or `ALL_TOPICS`.
            notified: called at once after each notification, and when the watch is over.

        Raises:
            StoreUnavailable: Redis cannot be reached.
        """
        socket = await self._connected()
        channel = self._channels.get(name)
        if channel is None:
            channel = self._channels[name] = _Channel()
            socket.send(("SUBSCRIBE", name))
        watch = Watch(notified)
        channel.add(topic.encode(), watch)
        try:
            await self._answered(socket, channel.subscribed)
            yield watch
        finally:
            channel.discard(topic.encode(), watch)
            if not channel.watches:
                later = asyncio.get_running_loop().call_later
                channel.unsubscribing = later(_UNSUBSCRIBE_DELAY_SECONDS, self._unsubscribe, name, channel)

    async def catch_up(self) -> None:
        """Returns when all notifications that were published before the call have been received.

        Raises:
            StoreUnavailable: Redis cannot be reached.
        """
        socket = await self._connected()
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pings.append(answer)
        socket.send(("PING",))
        await self._answered(socket, answer)

    async def close(self) -> None:
        """Ends all watches."""
        if self._socket is not None:
            await self._socket.close()

    def _unsubscribe(self, name: str, channel: _Channel) -> None:
        if self._socket is not None and self._channels.get(name) is channel:
            del self._channels[name]
            self._socket.send(("UNSUBSCRIBE", name))

    async def _connected(self) -> SocketConnection:
        async with self._connecting:
            if self._socket is None:
                self._socket = await self._connect(self._received, self._ended)
            return self._socket

    async def _answered(self, socket: SocketConnection, answer: asyncio.Future[None]) -> None:
        if not await within(self._reply_seconds, answer):
            error = StoreUnavailable("Redis does not answer on the connection for notifications")
            socket.end(error)
            raise error
        await answer

    def _received(self, reply: Any) -> None:
        if isinstance(reply, Exception):
            self._refused(reply)
            return
        if reply == b"PONG" or reply[0] == b"pong":  # upper case if there is no subscription
            _resolve(self._pings.popleft())
            return
        kind, name, content = reply
        channel = self._channels.get(name.decode())
        if channel is None:
            return
        if kind == b"subscribe":
            _resolve(channel.subscribed)
        elif kind == b"message":
            channel.notify(content)

    def _refused(self, reply: Exception) -> None:
        """Ends the connection, because the reply does not name the refused subscription."""
        if self._socket is not None:
            self._socket.end(StoreUnavailable(f"Redis refuses a subscription: {reply}"))

    def _ended(self, error: StoreError) -> None:
        self._socket = None
        channels, self._channels = self._channels, {}
        answers = [*self._pings, *(channel.subscribed for channel in channels.values())]
        self._pings.clear()
        for answer in answers:
            if not answer.done():
                answer.set_exception(StoreUnavailable(str(error)))
                answer.exception()  # marks it as retrieved: the waiting call may have been cancelled
        for channel in channels.values():
            for watch in chain.from_iterable(channel.watches.values()):
                watch.wake(over=True)


def _resolve(answer: asyncio.Future[None]) -> None:
    if not answer.done():
        answer.set_result(None)
