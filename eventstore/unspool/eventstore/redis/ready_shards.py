"""The shards that have new entries, if there are too many tenants for one blocking read of all streams.

With many tenants, writers publish the shards to which they add entries on a channel of the role. A reader can
miss an announcement, so readers also read all streams once a second.
"""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from itertools import islice
from typing import Final

from unspool.eventstore.redis import keys
from unspool.eventstore.redis.keys import Shard
from unspool.eventstore.redis.notifications import ALL_TOPICS, Watch
from unspool.eventstore.redis.session import Session

_MEMBER_LEFT: Final = keys.MEMBER_LEFT.encode()

_MAX_SHARDS: Final = 64
"""Shards in one read, at most."""


class ReadyShards:
    """The announced shards that have not been read yet."""

    def __init__(self, session: Session, role: str) -> None:
        self._session = session
        self._channel = keys.ready(role)
        self._watch: Watch | None = None
        self._watching = AsyncExitStack()

    async def listen(self) -> bool:
        """Subscribes if necessary. Returns whether announcements may have been missed before."""
        if self._watch is not None and not self._watch.over:
            return False
        await self._watching.aclose()
        watch = self._session.notifications.watch(self._channel, ALL_TOPICS)
        self._watch = await self._watching.enter_async_context(watch)
        return True

    def member_left(self) -> bool:
        """Whether a consumer of the role was deregistered since the last call."""
        if self._watch is None or _MEMBER_LEFT not in self._watch.topics:
            return False
        del self._watch.topics[_MEMBER_LEFT]
        return True

    def take(self, shards: Mapping[bytes, Shard]) -> list[Shard]:
        """Removes some announced shards; returns those that are in `shards` (by topic)."""
        topics = self._watch.topics if self._watch else {}
        some = list(islice(topics, _MAX_SHARDS))
        for topic in some:
            del topics[topic]
        return [shards[topic] for topic in some if topic in shards]

    def add(self, shards: list[Shard]) -> None:
        """Adds shards that were not read completely."""
        if self._watch:
            self._watch.topics.update(dict.fromkeys(shard.topic.encode() for shard in shards))

    async def wait(self, seconds: float) -> None:
        """Waits for an announcement, at most `seconds`."""
        if self._watch and not self._watch.topics:
            await self._watch.changed(seconds)

    def wake(self) -> None:
        """Makes `wait` return."""
        if self._watch:
            self._watch.wake()

    async def close(self) -> None:
        """Ends the subscription; `wait` returns."""
        if self._watch:
            self._watch.wake(over=True)
        await self._watching.aclose()
