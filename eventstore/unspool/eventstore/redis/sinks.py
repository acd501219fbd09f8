"""Sinks: each bus has a hash with the position of every sink on it."""

import asyncio
from collections.abc import Collection, Mapping
from typing import Final

from unspool.eventstore.consumers import SENDERS, Consumer
from unspool.eventstore.published_events import EventBatch
from unspool.eventstore.redis import keys, scripts
from unspool.eventstore.redis.keys import Bus
from unspool.eventstore.redis.pending_buses import PendingBuses, is_after
from unspool.eventstore.redis.publishing import published
from unspool.eventstore.redis.queues import RedisQueues
from unspool.eventstore.sinks import SinkProgress, SinkStatus, log_forgotten, summed

_FIELDS: Final = (
    "position",
    "holder",
    "passed",
    "sent",
    "refused",
    "dropped",
    "failures",
    "failure",
    "since",
)
"""The fields of a sink in the hash; `<field> <name>`."""


class _Reader:
    """A process that receives events for a sink."""

    def __init__(self, buses: PendingBuses) -> None:
        self.buses = buses
        self.lock = asyncio.Lock()


class RedisSinks(RedisQueues):
    """The sinks of the store."""

    def __init__(self) -> None:
        self._sink_readers: dict[str, _Reader] = {}

    async def keep_sinks(self, names: Collection[str]) -> list[str]:
        """See `EventSinks`."""
        now = await self._session.milliseconds()
        kept = await self._kept_sinks()
        tenants = await self._session.tenants(fresh=True)
        for name in names:
            if name not in kept:  # first on the buses: if this process ends meanwhile, it is done again
                await asyncio.gather(*(self._begin_on(tenant, name) for tenant in tenants))
            await self._session.call("HSET", keys.SINKS, name, now)
        expired_at = now - int(self._session.events.sink_expiry_hours * 3_600_000)
        expired = [name for name, at in kept.items() if at < expired_at and name not in names]
        for name in expired:
            await asyncio.gather(*(self._forget_on(tenant, name) for tenant in tenants))
            await self._session.call("HDEL", keys.SINKS, name)
            log_forgotten(name)
        await self._session.tenants(fresh=True)
        return expired

    async def receive_for_sink(
        self,
        consumer: Consumer,
        sink: str,
        limit: int,
        seconds: float,
        skip: frozenset[str] = frozenset(),
    ) -> EventBatch | None:
        """See `EventSinks`."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        reader = self._sink_reader(sink)
        async with reader.lock:
            if consumer not in self._heartbeats:
                await self.heartbeat(consumer)  # so that it counts as alive
            while True:
                await reader.buses.refresh(all_before=seconds <= 0)
                for tenant in reader.buses.tenants():
                    if tenant not in skip and (
                        batch := await self._take_for_sink(reader, consumer, sink, tenant, limit)
                    ):
                        return batch
                left = deadline - loop.time()
                if left <= 0:
                    return None
                await reader.buses.changed(left)

    async def record_progress(self, consumer: Consumer, sink: str, progress: SinkProgress) -> None:
        """See `EventSinks`."""
        bus = self._session.keys.tenant(progress.tenant).bus
        await self._session.run(
            scripts.RECORD_PROGRESS, (bus.sinks, bus.events), (sink, consumer.name, *progress[1:])
        )

    async def sinks(self) -> list[SinkStatus]:
        """See `EventSinks`."""
        kept = await self._kept_sinks()
        tenants = sorted(await self._session.tenants()) if kept else []
        buses = [self._session.keys.tenant(tenant).bus for tenant in tenants]
        parts = await asyncio.gather(*(self._statuses_on(bus, kept) for bus in buses))
        return [summed(SinkStatus(name, kept[name]), (part[name] for part in parts)) for name in sorted(kept)]

    async def _close_sinks(self) -> None:
        for reader in self._sink_readers.values():
            await reader.buses.close()

    async def _kept_sinks(self) -> dict[str, int]:
        reply = await self._session.call("HGETALL", keys.SINKS)
        return {name.decode(): int(at) for name, at in zip(reply[::2], reply[1::2], strict=True)}

    async def _begin_on(self, tenant: str, sink: str) -> None:
        """Lets a new sink begin behind the newest event of a tenant."""
        bus = self._session.keys.tenant(tenant).bus
        await self._session.run(scripts.KEEP_SINK, (bus.state, bus.sinks), (sink,))

    async def _forget_on(self, tenant: str, sink: str) -> None:
        bus = self._session.keys.tenant(tenant).bus
        await self._session.call("HDEL", bus.sinks, *_fields(sink))

    def _sink_reader(self, sink: str) -> _Reader:
        reader = self._sink_readers.get(sink)
        if reader is None:

            async def is_pending(bus: Bus) -> bool:
                newest, position = await asyncio.gather(
                    self._session.call("HGET", bus.state, "newest"),
                    self._session.call("HGET", bus.sinks, f"position {sink}"),
                )
                return is_after(newest, position)

            reader = self._sink_readers[sink] = _Reader(PendingBuses(self._session, is_pending))
        return reader

    async def _take_for_sink(
        self, reader: _Reader, consumer: Consumer, sink: str, tenant: str, limit: int
    ) -> EventBatch | None:
        """The next events of a tenant, unless there are none or a live consumer sends them."""
        bus = self._session.keys.tenant(tenant).bus
        holder = (await self._session.call("HGET", bus.sinks, f"holder {sink}") or b"").decode()
        gone = holder if holder and not await self._is_live(holder) else ""
        reply = await self._session.run(
            scripts.RECEIVE_FOR_SINK, (bus.sinks, bus.events), (sink, consumer.name, gone, limit)
        )
        reader.buses.remove(tenant)  # not before: the call may be cancelled
        if reply is None or not reply[1]:
            return None
        reader.buses.add(tenant)  # behind the others: there may be more events
        return EventBatch(tenant, tuple(published(reply[1])), reply[0].decode())

    async def _is_live(self, sender: str) -> bool:
        """Whether a sender is alive. One that is new may not be known yet: then it reads again."""
        members = self._members[SENDERS]
        await members.refresh()
        if sender not in members.live():
            members.expire()
            await members.refresh()
        return sender in members.live()

    async def _statuses_on(self, bus: Bus, sinks: Collection[str]) -> dict[str, SinkStatus]:
        """The status of sinks on one bus."""
        total, reply = await asyncio.gather(
            self._session.call("HGET", bus.state, "published"), self._session.call("HGETALL", bus.sinks)
        )
        fields = dict(zip(reply[::2], reply[1::2], strict=True))
        return {sink: _status(sink, int(total or 0), fields) for sink in sinks}


def _status(sink: str, published: int, fields: Mapping[bytes, bytes]) -> SinkStatus:
    def number(field: str) -> int:
        return int(fields.get(f"{field} {sink}".encode(), 0))

    return SinkStatus(
        name=sink,
        kept_at=0,
        lag=published - number("passed"),
        sent=number("sent"),
        refused=number("refused"),
        dropped=number("dropped"),
        failures=number("failures"),
        failing_since=number("since") or None,
        failure=fields.get(f"failure {sink}".encode(), b"").decode(),
    )


def _fields(sink: str) -> list[str]:
    return [f"{field} {sink}" for field in _FIELDS]
