"""The event bus: a stream for each tenant, and how its events reach the subscriptions in the shards.

The bus has a hash slot of its own. Each shard remembers the position up to which it has matched the events,
in the script that sends the messages (`match.lua`). The bus remembers a position that all shards have
matched: the next batch begins there. A consumer holds the events that it matches, so that others do not do
the same work; the positions alone decide what is sent.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from unspool.eventstore.consumers import WORKERS, Consumer
from unspool.eventstore.event_bus import KEPT_EVENTS
from unspool.eventstore.published_events import CloudEvent, EventBatch, KeysOf, PublishedEvent, Shapes
from unspool.eventstore.redis import keys, listeners, publishing, scripts
from unspool.eventstore.redis.keys import Bus
from unspool.eventstore.redis.look_backs import LookBacks
from unspool.eventstore.redis.matching import KeyedBatch, Matched, Matching
from unspool.eventstore.redis.pending_buses import PendingBuses, is_after
from unspool.eventstore.redis.positions import place_of
from unspool.eventstore.redis.publishing import published
from unspool.eventstore.redis.queues import RedisQueues
from unspool.eventstore.sinks import log_dropped

_MAX_DELETED: Final = 250
"""Events that one call deletes, at most."""

_RECHECK_SECONDS: Final = 2.0


class RedisEventBus(RedisQueues):
    """The event bus of the store."""

    def __init__(self) -> None:
        super().__init__()
        self._unmatched = PendingBuses(self._session, self._has_unmatched)
        self._look_backs = LookBacks(self._session)
        self._matching = Matching(self._session, self._look_backs)
        self._receiving = asyncio.Lock()
        self._held: dict[str, str] = {}
        """The consumer that received events of a tenant, until they are matched."""

    async def publish(self, tenant: str, events: Sequence[CloudEvent]) -> int:
        """See `EventBus`."""
        if not events:
            return 0
        await self._session.add_tenant(tenant)
        return await publishing.publish(self._session, tenant, events)

    async def receive_events(self, consumer: Consumer, limit: int, seconds: float) -> EventBatch | None:
        """See `EventBus`."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        async with self._receiving:
            if consumer not in self._heartbeats:
                await self.heartbeat(consumer)  # so that it counts as alive
            while True:
                await self._unmatched.refresh(all_before=seconds <= 0)
                for tenant in self._unmatched.tenants():
                    if batch := await self._take_events(consumer, tenant, limit):
                        return batch
                left = deadline - loop.time()
                if left <= 0:
                    return None
                await self._unmatched.changed(left)

    async def let_go(self, consumer: Consumer, tenant: str) -> None:
        """See `EventBus`. The positions decide what is sent, so the two calls need not be one step."""
        self._held.pop(tenant, None)
        bus = self._session.keys.tenant(tenant).bus
        if await self._session.call("HGET", bus.state, "holder") == consumer.name.encode():
            await self._session.call("HDEL", bus.state, "holder")

    async def match(self, batch: EventBatch, keys_of: KeysOf) -> int:
        """See `EventBus`."""
        tenant = self._session.keys.tenant(batch.tenant)
        if not batch.events:
            return await self._look_backs.serve_all(tenant, keys_of)
        keyed = KeyedBatch(batch, keys_of)
        matched = await self._matching.match(tenant.shards, keyed)
        await self._settle(tenant.bus, matched)
        return sum(each.sent for each in matched)

    async def published_events(
        self, tenant: str, *, after: str | None = None, limit: int = 100
    ) -> list[PublishedEvent]:
        """See `EventBus`."""
        bus = self._session.keys.tenant(tenant).bus
        if after is None:
            entries = await self._session.call("XREVRANGE", bus.events, "+", "-", "COUNT", limit)
            return published(entries[::-1])
        place_of(after)
        return published(await self._session.call("XRANGE", bus.events, f"({after}", "+", "COUNT", limit))

    async def published_event(self, tenant: str, position: str) -> PublishedEvent | None:
        """See `EventBus`."""
        place_of(position)
        bus = self._session.keys.tenant(tenant).bus
        found = published(await self._session.call("XRANGE", bus.events, position, position))
        return found[0] if found else None

    async def accepted_by(self, tenant: str, event: CloudEvent) -> list[str]:
        """See `EventBus`."""
        return await listeners.accepted_by(self._session, tenant, event)

    async def listening(self, tenant: str, limit: int, keys: Sequence[str] | None = None) -> list[str]:
        """See `EventBus`."""
        if keys is None:
            return await listeners.listening(self._session, tenant, limit)
        return await listeners.listening_for(self._session, tenant, keys, limit)

    async def shapes(self, tenant: str) -> Shapes:
        """See `EventBus`."""
        return await listeners.shapes(self._session, tenant)

    async def wait_for_events(self, tenant: str, after: str | None, seconds: float) -> None:
        """See `EventBus`."""
        bus = self._session.keys.tenant(tenant).bus
        place = place_of(after or "0-0")
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while True:
            async with self._session.notifications.watch(keys.PUBLISHED_CHANNEL, tenant) as watch:
                while not watch.over:
                    newest = await self._session.call("HGET", bus.state, "newest")
                    left = deadline - loop.time()
                    if (newest and place_of(newest.decode()) > place) or left <= 0:
                        return
                    # Reads again from time to time, because a dead connection may go unnoticed.
                    await watch.changed(min(left, _RECHECK_SECONDS))

    async def _close_bus(self) -> None:
        await self._unmatched.close()

    async def _take_events(self, consumer: Consumer, tenant: str, limit: int) -> EventBatch | None:
        """The oldest events of a tenant, unless there are none or a live consumer matches them."""
        self._unmatched.remove(tenant)
        bus = self._session.keys.tenant(tenant).bus
        matched, events, holder = await self._receive(bus, consumer, "", limit)
        if holder is not None and await self._is_gone(holder.decode()):
            matched, events, holder = await self._receive(bus, consumer, holder.decode(), limit)
        if holder is not None and any(each.name == holder.decode() for each in self._heartbeats):
            self._unmatched.add(tenant)  # for that consumer, which asks the same object
        if not events:
            looked = holder is None and await self._look_backs.any(self._session.keys.tenant(tenant))
            return EventBatch(tenant, (), matched.decode()) if looked else None
        self._held[tenant] = consumer.name
        self._unmatched.add(tenant)  # behind the others: there may be more events
        return EventBatch(tenant, tuple(published(events)), matched.decode())

    async def _receive(self, bus: Bus, consumer: Consumer, gone: str, limit: int) -> Any:
        return await self._session.run(
            scripts.RECEIVE_EVENTS, (bus.state, bus.events), (consumer.name, gone, limit)
        )

    async def _is_gone(self, holder: str) -> bool:
        await self._members[WORKERS].refresh()
        return holder not in self._members[WORKERS].live()

    async def _settle(self, bus: Bus, matched: Sequence[Matched]) -> None:
        """Notes the position that all shards have matched, and deletes old events."""
        position = min((each.position for each in matched), key=place_of)
        most = self._session.events.kept_for_sinks
        values = (
            position,
            self._held.pop(bus.tenant, ""),
            KEPT_EVENTS,
            _MAX_DELETED,
            max(most, KEPT_EVENTS),
            self._session.retention,
        )
        deleted, lost = _MAX_DELETED, Counter[bytes]()
        noted = self._unmatched.noted(bus.tenant)
        while deleted == _MAX_DELETED:
            deleted, left, *dropped = await self._session.run(
                scripts.SETTLE, (bus.state, bus.events, bus.sinks), (*values, *self._session.sinks)
            )
            lost.update(dict(zip(dropped[::2], dropped[1::2], strict=True)))
        for sink, count in lost.items():
            log_dropped(sink.decode(), bus.tenant, count)
        if not left and noted is not None:
            self._unmatched.remove(bus.tenant, noted)

    async def _has_unmatched(self, bus: Bus) -> bool:
        newest, matched = await self._session.call("HMGET", bus.state, "newest", "matched")
        return is_after(newest, matched) or await self._look_backs.any(self._session.keys.tenant(bus.tenant))
