"""Reads deliveries from many streams as one consumer of a group.

A script takes available entries without waiting and serves all streams in turn. If there are none, a blocking
read waits for the first. Both use a separate connection, because a blocking read delays all later commands of
its connection.

If a reply is lost, its entries stay in the consumer's pending list in Redis. New entries have ascending ids,
so the lost entries are those above the last id seen. They are read again before new ones.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Final, Generic

from unspool.eventstore.consumers import WORKERS, Consumer
from unspool.eventstore.errors import StoreError, StoreUnavailable
from unspool.eventstore.port import HEARTBEAT_SECONDS
from unspool.eventstore.records import Body, Delivery
from unspool.eventstore.redis import scripts
from unspool.eventstore.redis.acknowledgement import release
from unspool.eventstore.redis.blocking_read import BlockingRead
from unspool.eventstore.redis.codec import Unreadable
from unspool.eventstore.redis.connection import Call
from unspool.eventstore.redis.deregistration import deregister
from unspool.eventstore.redis.failures import GroupMissing
from unspool.eventstore.redis.keys import Shard
from unspool.eventstore.redis.leases import IdleEntries, IdleEntry, idle_entries
from unspool.eventstore.redis.members import Members, shards_of
from unspool.eventstore.redis.positions import place_of
from unspool.eventstore.redis.quiet_queues import QuietQueues
from unspool.eventstore.redis.ready_shards import ReadyShards
from unspool.eventstore.redis.selection import Selection
from unspool.eventstore.redis.session import BLOCK_SECONDS, Session, log
from unspool.eventstore.redis.socket_connection import Argument
from unspool.eventstore.redis.streams import (
    NO_STREAMS,
    Entry,
    Streams,
    delivered,
    make_groups,
    streams_of,
    triples,
)
from unspool.eventstore.redis.unreadable import move_to_unreadable

_FROM_THE_START: Final = "0-0"


class Reader(Generic[Body]):
    """Reads for one consumer."""

    def __init__(
        self, session: Session, consumer: Consumer, members: Members, decode: Callable[[bytes], Body]
    ) -> None:
        self._session = session
        self._consumer = consumer
        self._group_and_name = (consumer.role, consumer.name)
        self._members = members
        self._decode: Callable[[bytes], Body] = decode
        reply_timeout = BLOCK_SECONDS + session.settings.reply_seconds
        self._connection = session.connection(reply_timeout, self._on_connect)
        self._blocking_read = BlockingRead(session)
        self._receive_lock = asyncio.Lock()
        self._refresh_lock = asyncio.Lock()
        self._begin_with = 0
        self._begin_any_with = 0
        self._emptied = False
        self._selection = Selection(consumer)
        self._quiet = QuietQueues(session, consumer, self._blocking_read.end)
        self._skip: frozenset[str] = frozenset()
        self._any = NO_STREAMS
        """The streams that it may read: all except those of skipped tenants."""
        self._own = NO_STREAMS
        """The streams that it prefers."""
        self._read_others_at = asyncio.get_running_loop().time() + HEARTBEAT_SECONDS
        self._refreshed_at: float | None = None
        self._grouped: set[str] = set()
        self._last_seen: dict[str, str] = {}
        self._idle = IdleEntries()
        self._ready = ReadyShards(session, consumer.role)
        self._read_all_at = 0.0
        self._own_shards: dict[bytes, Shard] = {}
        self._refreshed_for: tuple[int, frozenset[str]] | None = None
        self._drain_due = True
        self._drain_until = 0.0

    async def receive(
        self, limit: int, seconds: float, skip: frozenset[str] = frozenset()
    ) -> list[Delivery[Body]]:
        """Takes up to `limit` new deliveries of tenants not in `skip`, waiting `seconds` for the first."""
        async with self._receive_lock:
            self._skip = skip
            try:
                return await self._receive(limit, asyncio.get_running_loop().time() + seconds)
            except GroupMissing as error:
                raise await self._on_groups_lost(error) from error
            except BaseException:  # also when cancelled: the reply may still arrive
                self._reply_lost()
                raise

    async def reclaim(self, limit: int, lease: float) -> list[Delivery[Body]]:
        """Takes over deliveries of dead consumers, and those whose lease of `lease` seconds has ended."""
        try:
            await self._refresh_streams()
            gone = [consumer for consumer in self._members.gone() if consumer.name != self._consumer.name]
            found = await self._reclaim(limit, lease, [consumer.name for consumer in gone])
        except GroupMissing as error:
            raise await self._on_groups_lost(error) from error
        if len(found) < limit:
            # The other deliveries are in queues that this consumer does not serve; they are added again.
            with suppress(StoreError):  # a later call tries again; the deliveries found must be returned
                for consumer in gone:
                    await deregister(self._session, consumer, self._members)
        return found

    async def close(self) -> None:
        """Closes the connection; a waiting `receive` fails."""
        self._session.new_tenants.ignore(self._on_new_tenant)
        self._blocking_read.abandon()
        await self._quiet.close()
        await self._ready.close()
        await self._connection.close()

    async def _on_connect(self, call: Call) -> None:
        await self._session.check_identity(call)
        await self._blocking_read.connected(call)

    async def _receive(self, limit: int, deadline: float) -> list[Delivery[Body]]:
        clock = asyncio.get_running_loop().time
        while True:
            await self._refresh_streams()
            if self._session.has_many_tenants:
                return await self._receive_announced(limit, deadline)
            if self._drain_due and (found := await self._drain(limit)):
                return found
            left = deadline - clock()
            streams = self._preferred()
            can_wait = left > 0 and streams is self._own and await self._has_emptied(limit)
            if not can_wait and (found := await self._take(streams, limit)):
                return found
            if left > 0 and (found := await self._wait(limit, min(left, BLOCK_SECONDS))):
                return found
            # After a wait without entries, it reads the streams of other workers too.
            if self._own is not self._any and (found := await self._take(self._any, limit)):
                return found
            if clock() >= deadline:
                return []

    async def _has_emptied(self, limit: int) -> bool:
        """Whether its last read has emptied the streams, so that the next one can wait at once.

        Not if it may read more than the limit: what it then releases comes behind later messages. Of tasks,
        some may have been added and cancelled since then; only the script `take` skips them.
        """
        emptied = self._emptied and len(self._own.names) <= limit
        if not emptied or not self._own.cancelled:
            return emptied
        return bool(await self._connection.call("EXISTS", *self._own.cancelled) == 0)

    def _preferred(self) -> Streams:
        """The streams of its own shards; once a second also those of other workers, which may be busy."""
        now = asyncio.get_running_loop().time()
        if now < self._read_others_at:
            return self._own
        self._read_others_at = now + HEARTBEAT_SECONDS
        return self._any

    async def _receive_announced(self, limit: int, deadline: float) -> list[Delivery[Body]]:
        """As `_receive`, with many tenants: reads announced shards, and once a second all shards."""
        clock = asyncio.get_running_loop().time
        while True:
            if await self._ready.listen():
                self._read_all_at = 0.0
            if self._ready.member_left():  # this consumer may prefer other shards now
                self._members.expire()
                self._refreshed_at = None
            await self._refresh_streams()
            if self._drain_due and (found := await self._drain(limit)):
                return found
            if (found := await self._take_ready(limit)) or (found := await self._take_all(limit)):
                return found
            left = deadline - clock()
            if left <= 0:
                return []
            await self._ready.wait(min(left, max(0.0, self._read_all_at - clock())))

    async def _take_ready(self, limit: int) -> list[Delivery[Body]]:
        if self._refreshed_at is None:  # the shards of a new tenant are not in `_own_shards` yet
            return []
        shards = self._ready.take(self._own_shards)
        if not shards:
            return []
        found = await self._take(streams_of(self._consumer, shards), limit)
        if len(found) >= limit:
            self._ready.add(shards)
        return found

    async def _take_all(self, limit: int) -> list[Delivery[Body]]:
        now = asyncio.get_running_loop().time()
        if now < self._read_all_at:
            return []
        found = await self._take(self._any, limit)
        if len(found) < limit:
            self._read_all_at = now + HEARTBEAT_SECONDS
        return found

    async def _take(self, streams: Streams, limit: int) -> list[Delivery[Body]]:
        count = len(streams.names)
        if not count:
            return []
        of_any = streams is self._any
        first = self._begin_any_with if of_any else self._begin_with
        values = (*self._group_and_name, limit, count, streams.per_set, first % count)
        reply = await self._connection.run(scripts.TAKE, (*streams.names, *streams.cancelled), values)
        found: list[Delivery[Body]] = []
        for number, flat in zip(reply[::2], reply[1::2], strict=True):
            first = number  # begins with the next stream next time
            self._last_seen[streams.names[number - 1]] = flat[-3].decode()
            entries = zip(flat[::3], flat[1::3], flat[2::3], strict=True)
            found += await self._deliveries(streams, number - 1, entries)
        if of_any:
            self._begin_any_with = first
        else:
            self._begin_with = first
        return found

    async def _wait(self, limit: int, seconds: float) -> list[Delivery[Body]]:
        if self._blocking_read.can_end:
            self._quiet.watch()
        streams = self._own
        self._select()
        if self._refreshed_at is None or streams is not self._own:  # there are other streams to read
            return []
        if not streams.names:  # more workers than shards, it is full, or all queues are quiet
            await self._blocking_read.sleep(seconds)
            return []
        count = len(streams.names)
        share = max(1, limit // count)
        reply = await self._blocking_read.read(
            self._connection,
            "XREADGROUP", "GROUP", *self._group_and_name, "COUNT", share,
            "BLOCK", max(1, int(seconds * 1000)), "STREAMS", *streams.names, *[">"] * count,
        )  # fmt: skip
        found: list[Delivery[Body]] = []
        for stream, entries in reply or ():
            name = stream.decode()
            self._last_seen[name] = entries[-1][0].decode()
            found += await self._deliveries(streams, streams.names.index(name), map(delivered, entries))
        self._emptied = all(len(entries) < share for _, entries in reply or ())
        if len(found) > limit:  # COUNT is per stream, and several streams had entries
            await release(self._session, found[limit:])
        return found[:limit]

    async def _drain(self, limit: int) -> list[Delivery[Body]]:
        streams = self._selection.all
        seen: list[str] = [self._last_seen.get(name, _FROM_THE_START) for name in streams.names]
        reply = await self._connection.run(
            scripts.DRAIN, streams.names, (*self._group_and_name, limit, *seen)
        )
        found: list[Delivery[Body]] = []
        for number, entry, times in triples(reply):
            self._last_seen[streams.names[number - 1]] = entry[0].decode()
            found += await self._deliveries(streams, number - 1, [delivered(entry, times)])
        if len(reply) < 3 * limit:
            self._drain_due = asyncio.get_running_loop().time() < self._drain_until
        return found

    async def _reclaim(self, limit: int, lease: float, gone: list[str]) -> list[Delivery[Body]]:
        streams: Streams = self._selection.all
        if not streams.names:
            return []
        found, idle = await self._claim(streams, limit, lease, gone, ())
        now = self._session.monotonic()
        self._idle.observe(idle, now)
        expired = [entry for entry in self._idle.expired(lease, now) if entry.holder.decode() not in gone]
        if expired and len(found) < limit:
            found += (await self._claim(streams, limit - len(found), lease, [], expired[:limit]))[0]
        return found

    async def _claim(
        self, streams: Streams, limit: int, lease: float, gone: list[str], expired: Sequence[IdleEntry]
    ) -> tuple[list[Delivery[Body]], list[IdleEntry]]:
        """Claims entries of the consumers `gone`, or the entries `expired`; also returns idle entries."""
        count: int = len(streams.names)
        first: int = self._next_first(limit, count)
        values: list[Argument] = [*self._group_and_name, limit, int(lease * 1000)]
        values += (count, streams.per_set, first, len(gone), *gone)
        numbers = {name: number for number, name in enumerate(streams.names, 1)} if expired else {}
        for entry in expired:
            values += (numbers[entry.stream], entry.id, entry.holder)
        names = (*streams.names, *streams.cancelled)
        claimed, idle = await self._session.run(scripts.RECLAIM, names, values)
        found: list[Delivery[Body]] = []
        for number, entry, times in triples(claimed):
            name = streams.names[number - 1]
            self._last_seen[name] = max(
                self._last_seen.get(name, _FROM_THE_START), entry[0].decode(), key=place_of
            )
            found += await self._deliveries(streams, number - 1, [delivered(entry, times)])
        return found, idle_entries(streams.names, idle)

    def _next_first(self, limit: int, count: int) -> int:
        """The stream to begin with. It rotates, so that all streams are served in turn with a small limit."""
        self._begin_with = (self._begin_with + limit) % count
        return self._begin_with

    async def _deliveries(
        self, streams: Streams, number: int, entries: Iterable[Entry]
    ) -> list[Delivery[Body]]:
        """Decodes entries of a stream; unreadable ones are moved to another stream."""
        source, shard = streams.names[number], streams.shards[number]
        self._quiet.had_tasks(source)
        found: list[Delivery[Body]] = []
        unreadable: dict[bytes, str] = {}
        for id_, value, attempts in entries:
            try:
                body = self._decode(value)
            except Unreadable as error:
                unreadable[id_] = str(error)
            else:
                id_text = id_.decode()
                queued_at = int(id_text.partition("-")[0])
                found.append(Delivery(shard.tenant, body, source, id_text, attempts, queued_at))
        if unreadable:
            await move_to_unreadable(self._session, shard, source, self._consumer.role, unreadable)
        return found

    async def _refresh_streams(self) -> None:
        """Updates the streams to read from the known tenants and members, every `HEARTBEAT_SECONDS`."""
        async with self._refresh_lock:
            now = self._session.monotonic()
            if self._refreshed_at is None or now - self._refreshed_at >= HEARTBEAT_SECONDS:
                self._refreshed_at = now  # first: a tenant may be added meanwhile
                try:
                    await self._refresh()
                except BaseException:
                    self._refreshed_at = None
                    raise
            self._select()

    async def _refresh(self) -> None:
        missed = await self._session.new_tenants.listen(self._on_new_tenant)
        tenants = await self._session.tenants(fresh=missed)
        await self._members.refresh()
        name = self._consumer.name
        workers = self._members.owners(name) if self._consumer.role == WORKERS else frozenset[str]()
        if self._refreshed_for == (len(tenants), workers):  # tenants are never removed
            return
        known = len(tenants)
        shards = self._session.keys.all_shards(tenants)
        everything = streams_of(self._consumer, shards)
        await self._make_groups(everything)
        self._selection.use(everything, shards, shards_of(name, shards, workers) if workers else shards)
        self._quiet.use(() if self._session.has_many_tenants else shards)
        self._refreshed_for = (known, workers)

    def _select(self) -> None:
        """Uses the streams without those of skipped tenants, and prefers queues that are not quiet."""
        self._any, self._own, self._own_shards = self._selection.select(self._skip, self._quiet.names)

    async def _make_groups(self, streams: Streams) -> None:
        missing = [name for name in streams.names if name not in self._grouped]
        await make_groups(self._session, self._consumer.role, missing)
        self._grouped.update(missing)

    def _reply_lost(self) -> None:
        """Makes the next `receive` read entries whose reply was lost."""
        self._connection.drop()
        self._blocking_read.abandon()
        self._drain_due = True
        self._drain_until = asyncio.get_running_loop().time() + 2 * BLOCK_SECONDS

    def _on_new_tenant(self) -> None:
        """Makes a waiting `receive` read the streams of a new tenant too."""
        self._refreshed_at = None
        self._ready.wake()
        self._blocking_read.end()

    async def _on_groups_lost(self, error: StoreError) -> StoreError:
        await self._session.check_identity(self._session.call)
        log.critical(
            "a stream or its consumer group was deleted: %s", error, extra={"action": "redis_group_lost"}
        )
        self._grouped.clear()
        self._refreshed_for = None
        self._refreshed_at = None
        return StoreUnavailable("a stream or its consumer group was deleted; it is created again")
