"""Publishes the entries of a Redis stream that others write to.

The processes of a deployment share the stream as a consumer group. An entry is acknowledged after its event
is published, so none is lost. If a process ends in between, another one publishes the event again: the bus
leaves out the repetition.
"""

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import redis.asyncio
from redis.exceptions import RedisError, ResponseError

from unspool.eventstore.port import EventStore
from unspool.eventstore.published_events import CloudEvent
from unspool.eventstore.retry import JITTER, retry_until_available
from unspool.executor.transports.redis_streams import StreamAddress
from unspool.executor.transports.source_loop import SourceLoop, in_one_line
from unspool.executor.transports.stream_entry import MAX_BYTES, NoEvent, event_of, size_of

log = logging.getLogger(__name__)

_BATCH: Final = 100
_BLOCK_MILLISECONDS: Final = 1_000
_CLAIM_SECONDS: Final = 10.0
"""Time between two looks at entries of processes that have died."""

_GONE_MILLISECONDS: Final = 3_600_000
"""A consumer without entries that has not read for this time is removed from the group."""

_FROM_THE_START: Final = "0-0"

Entry = tuple[bytes, dict[bytes, bytes]]


class StreamSource:
    """Reads one stream."""

    def __init__(
        self,
        store: EventStore,
        client: "redis.asyncio.Redis",
        address: StreamAddress,
        consumer: str,
        lease: float,
    ) -> None:
        """`lease`: seconds after which entries that a process has read and not acknowledged go to another."""
        self._store = store
        self._client = client
        self._address = address
        self._consumer = consumer
        self._lease_milliseconds = int(lease * 1000)
        self._loop = SourceLoop(store, "stream", address.key, (RedisError, OSError))
        self._own_pending = True
        """Whether entries may be pending that this process has read: a reply may have been lost."""
        self._claim_at = 0.0

    async def run(self) -> None:
        """Publishes events until `stop`, and reads again after failures of the Redis of the stream."""
        await self._loop.run(self._read_until_stopped)
        await self._leave()

    def stop(self) -> None:
        """Asks it to finish."""
        self._loop.stopping.set()

    async def _read_until_stopped(self) -> None:
        await self._make_group()
        self._own_pending = True
        while not self._loop.stopping.is_set():
            entries = await self._next()
            published, refused = await self._publish(entries) if entries else (0, 0)
            await self._loop.record(published, refused)

    async def _make_group(self) -> None:
        """Creates the group, from the first entry of the stream, unless it is there."""
        try:
            await self._client.xgroup_create(
                self._address.key, self._address.group, _FROM_THE_START, mkstream=True
            )
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    async def _next(self) -> list[Entry]:
        """The next entries: those that this process has read before, of dead processes, then new ones."""
        if self._own_pending:
            entries = await self._read(_FROM_THE_START)
            self._own_pending = bool(entries)
            return entries
        now = asyncio.get_running_loop().time()
        if now >= self._claim_at:
            self._claim_at = now + _CLAIM_SECONDS * JITTER.uniform(0.5, 1.5)
            return await self._claim()
        return await self._read(">", _BLOCK_MILLISECONDS)

    async def _read(self, after: str, block: int | None = None) -> list[Entry]:
        streams: Any = {self._address.key: after}
        reply: Any = await self._client.xreadgroup(
            self._address.group, self._consumer, streams, count=_BATCH, block=block
        )
        return reply[0][1] if reply else []

    async def _claim(self) -> list[Entry]:
        """Takes over entries that other processes have read and not acknowledged."""
        key, group = self._address.key, self._address.group
        reply: Any = await self._client.xautoclaim(
            key, group, self._consumer, self._lease_milliseconds, _FROM_THE_START, count=_BATCH
        )
        entries = [entry for entry in reply[1] if entry[0] is not None]
        if len(entries) < len(reply[1]):  # Redis 6.2 does not name deleted entries that it claims
            self._own_pending = True
        if len(reply[1]) >= _BATCH:
            self._claim_at = 0.0
        await self._remove_gone_consumers()
        return entries

    async def _remove_gone_consumers(self) -> None:
        key, group = self._address.key, self._address.group
        for each in await self._client.xinfo_consumers(key, group):
            if each["pending"] == 0 and each["idle"] > _GONE_MILLISECONDS:
                await self._client.xgroup_delconsumer(key, group, each["name"])

    async def _publish(self, entries: Sequence[Entry]) -> tuple[int, int]:
        """Publishes and acknowledges entries; returns how many were published, and how many left out."""
        events: list[CloudEvent] = []
        published = refused = size = 0
        for id_, fields in entries:
            length = size_of(fields)
            if size + length > MAX_BYTES:
                published += await self._published(events)
                events, size = [], 0
            try:
                events.append(self._event_of(id_.decode(), fields))
                size += length
            except NoEvent as error:
                self._leave_out(id_.decode(), error)
                refused += 1
        published += await self._published(events)
        ids = [id_ for id_, _ in entries]
        await self._client.xack(self._address.key, self._address.group, *ids)
        return published, refused

    async def _published(self, events: Sequence[CloudEvent]) -> int:
        """Publishes events with one call; returns how many were not published before."""
        if not events:
            return 0
        return await retry_until_available(partial(self._store.publish, self._address.tenant, events))

    def _event_of(self, id_: str, fields: dict[bytes, bytes]) -> CloudEvent:
        if not fields:  # an entry has at least one
            raise NoEvent("it was deleted from the stream before it was published")
        return event_of(self._address.key, id_, fields)

    def _leave_out(self, id_: str, error: NoEvent) -> None:
        log.error(
            "entry %s of stream %s is left out: %s", id_, self._address.key, error,
            extra={"action": "stream_entry_refused", "stream": self._address.key, "entry": id_},
        )  # fmt: skip

    async def _leave(self) -> None:
        """Leaves the group, if no entry is pending here: those would no longer be delivered."""
        key, group = self._address.key, self._address.group
        try:
            pending = await self._client.xpending_range(key, group, "-", "+", 1, self._consumer)
            if not pending:
                await self._client.xgroup_delconsumer(key, group, self._consumer)
        except (RedisError, OSError) as error:
            log.info("stream %s: the group keeps a consumer: %s", key, in_one_line(error))
