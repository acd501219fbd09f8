"""Taking deliveries, as one consumer of a group, from many streams at once.

What is there is taken without waiting by a script that is fair to all streams; when there is nothing, a
blocking read waits for the first entry. Both go over a connection of their own, for a blocking read keeps
everything behind it waiting.

A reply that gets lost leaves its entries on the consumer's list of pending entries in Redis. New entries
come in the order of their ids, so the lost ones are those above the last id seen: they are drained before
anything new is taken.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final, Generic

from unspool.eventstore.errors import StoreError, StoreUnavailable
from unspool.eventstore.port import HEARTBEAT_SECONDS
from unspool.eventstore.records import WORKERS, Body, Consumer, Delivery
from unspool.eventstore.redis import scripts
from unspool.eventstore.redis.codec import Unreadable
from unspool.eventstore.redis.connection import Call
from unspool.eventstore.redis.failures import GroupMissing
from unspool.eventstore.redis.keys import Shard
from unspool.eventstore.redis.leaving import hand_back
from unspool.eventstore.redis.link import Argument
from unspool.eventstore.redis.members import Members, shards_of
from unspool.eventstore.redis.session import BLOCK_SECONDS, Session, log
from unspool.eventstore.redis.settling import release
from unspool.eventstore.redis.streams import NOTHING, Streams, streams_of

_FROM_THE_START: Final = "0"


class Reader(Generic[Body]):
    """Reads for one consumer."""

    def __init__(
        self, session: Session, consumer: Consumer, members: Members, decode: Callable[[bytes], Body]
    ) -> None:
        self._session = session
        self._consumer = consumer
        self._who = (consumer.role, consumer.name)
        self._members = members
        self._decode: Callable[[bytes], Body] = decode
        silence = BLOCK_SECONDS + session.settings.reply_seconds
        self._connection = session.connection(silence, self._greet)
        self._client: int | None = None
        self._one_receives = asyncio.Lock()
        self._one_looks = asyncio.Lock()
        self._begin_with = 0
        self._emptied = False
        self._all = NOTHING
        self._own = NOTHING
        self._looked_at: float | None = None
        self._grouped: set[str] = set()
        self._last_seen: dict[str, str] = {}
        self._drain_due = True
        self._drain_until = 0.0

    async def receive(self, limit: int, seconds: float) -> list[Delivery[Body]]:
        """Takes up to `limit` new deliveries, waiting up to `seconds` for the first."""
        async with self._one_receives:
            try:
                return await self._receive(limit, asyncio.get_running_loop().time() + seconds)
            except GroupMissing as error:
                raise await self._groups_lost(error) from error
            except BaseException:  # cancelled, too: the reply is still under way
                self._reply_lost()
                raise

    async def reclaim(self, limit: int, lease: float) -> list[Delivery[Body]]:
        """Takes over deliveries of consumers that are gone, and those out for longer than `lease` seconds."""
        try:
            await self._look_around()
            gone = [consumer for consumer in self._members.gone() if consumer.name != self._consumer.name]
            found = await self._claim(limit, lease, [consumer.name for consumer in gone])
        except GroupMissing as error:
            raise await self._groups_lost(error) from error
        if len(found) < limit:
            # All that is ours to take is taken; the rest goes to those who serve its queues.
            with suppress(StoreError):  # it will be tried again; what is found must not be lost for it
                for consumer in gone:
                    await hand_back(self._session, consumer)
                    await self._members.remove(consumer.name)
        return found

    async def close(self) -> None:
        """Lets go of the connection; a waiting `receive` fails."""
        self._unblock()
        await self._connection.close()

    async def _greet(self, call: Call) -> None:
        await self._session.recognise(call)
        try:
            self._client = await call("CLIENT", "ID")
        except StoreUnavailable:
            raise
        except StoreError:  # not allowed to this user: then a read that is given up ends when Redis notices
            self._client = None

    async def _receive(self, limit: int, deadline: float) -> list[Delivery[Body]]:
        clock = asyncio.get_running_loop().time
        while True:
            await self._look_around()
            if self._drain_due and (found := await self._drain(limit)):
                return found
            left = deadline - clock()
            if not (self._emptied and left > 0) and (found := await self._take(self._own, limit)):
                return found
            if left > 0 and (found := await self._wait(limit, min(left, BLOCK_SECONDS))):
                return found
            # Idle for a while, or not to wait: help with what falls to others, who may be busy or stuck.
            if self._own is not self._all and (found := await self._take(self._all, limit)):
                return found
            if clock() >= deadline:
                return []

    async def _take(self, streams: Streams, limit: int) -> list[Delivery[Body]]:
        count = len(streams.names)
        if not count:
            return []
        values = (*self._who, limit, count, streams.per_set, self._begin_with % count)
        reply = await self._connection.run(scripts.TAKE, (*streams.names, *streams.cancelled), values)
        found: list[Delivery[Body]] = []
        for number, entries in zip(reply[::2], reply[1::2], strict=True):
            self._begin_with = number  # the next one's turn
            self._last_seen[streams.names[number - 1]] = entries[-1][0].decode()
            found += await self._deliveries(streams, number - 1, entries)
        return found

    async def _wait(self, limit: int, seconds: float) -> list[Delivery[Body]]:
        streams = self._own
        if not streams.names:  # more workers than shards
            await asyncio.sleep(seconds)
            return []
        numbers = {name.encode(): number for number, name in enumerate(streams.names)}
        share = max(1, limit // len(numbers))
        reply = await self._connection.call(
            "XREADGROUP", "GROUP", *self._who, "COUNT", share,
            "BLOCK", max(1, int(seconds * 1000)), "STREAMS", *streams.names, *[">"] * len(numbers),
        )  # fmt: skip
        found: list[Delivery[Body]] = []
        for name, entries in reply or ():
            self._last_seen[name.decode()] = entries[-1][0].decode()
            found += await self._deliveries(streams, numbers[name], entries)
        # Then the next read may block at once; but not for tasks, for only `take` passes over cancelled ones.
        less = all(len(entries) < share for _, entries in reply or ())
        self._emptied = less and len(numbers) <= limit and not streams.per_set
        if len(found) > limit:  # COUNT is per stream, and several had something at the same moment
            await release(self._session, found[limit:])
        return found[:limit]

    async def _drain(self, limit: int) -> list[Delivery[Body]]:
        streams = self._all
        seen: list[str] = [self._last_seen.get(name, _FROM_THE_START) for name in streams.names]
        reply = await self._connection.run(scripts.DRAIN, streams.names, (*self._who, limit, *seen))
        found: list[Delivery[Body]] = []
        for number, entry, times in _triples(reply):
            self._last_seen[streams.names[number - 1]] = entry[0].decode()
            found += await self._deliveries(streams, number - 1, [entry], times)
        if len(reply) < 3 * limit:
            self._drain_due = asyncio.get_running_loop().time() < self._drain_until
        return found

    async def _claim(self, limit: int, lease: float, gone: list[str]) -> list[Delivery[Body]]:
        streams: Streams = self._all
        count = len(streams.names)
        if not count:
            return []
        first = self._next_first(limit, count)
        values: tuple[Argument, ...] = (
            *self._who,
            limit,
            int(lease * 1000),
            count,
            streams.per_set,
            first,
            *gone,
        )
        reply = await self._session.run(scripts.RECLAIM, (*streams.names, *streams.cancelled), values)
        found: list[Delivery[Body]] = []
        for number, entry, times in _triples(reply):
            name = streams.names[number - 1]
            self._last_seen[name] = max(
                self._last_seen.get(name, _FROM_THE_START), entry[0].decode(), key=_age
            )
            found += await self._deliveries(streams, number - 1, [entry], times)
        return found

    def _next_first(self, limit: int, count: int) -> int:
        """With which stream to begin, so that each has its turn even if few are served at a time."""
        self._begin_with = (self._begin_with + limit) % count
        return self._begin_with

    async def _deliveries(
        self, streams: Streams, number: int, entries: Sequence[Any], times: int = 1
    ) -> list[Delivery[Body]]:
        """What entries of a stream hold; those nobody can read are set aside."""
        source, shard = streams.names[number], streams.shards[number]
        found: list[Delivery[Body]] = []
        for id_, fields in entries:
            before = int(fields[3]) if len(fields) > 2 else 0  # deliveries before it was released or left
            try:
                body = self._decode(fields[1])
            except Unreadable as error:
                await self._set_aside(shard, source, id_, str(error))
            else:
                found.append(Delivery(shard.tenant, body, source, id_.decode(), before + times))
        return found

    async def _set_aside(self, shard: Shard, source: str, id_: bytes, error: str) -> None:
        """Takes what nobody can read out of the stream, and keeps it for people to look at."""
        values = (self._consumer.role, id_, error, "", 1)
        await self._session.run(scripts.BURY, (source, shard.unreadable), values)
        log.error(
            "an entry of %s cannot be read and was moved to %s: %s", source, shard.unreadable, error,
            extra={"action": "entry_unreadable"},
        )  # fmt: skip

    async def _look_around(self) -> None:
        """Learns, now and then, which tenants there are and who shares the work."""
        async with self._one_looks:
            now = self._session.monotonic()
            if self._looked_at is None or now - self._looked_at >= HEARTBEAT_SECONDS:
                await self._look()
                self._looked_at = now

    async def _look(self) -> None:
        shards = self._session.keys.all_shards(await self._session.tenants())
        await self._members.look()
        everything = streams_of(self._consumer, shards)
        if self._consumer.role == WORKERS:
            name = self._consumer.name
            own = streams_of(self._consumer, shards_of(name, shards, {name, *self._members.live()}))
        else:
            own = everything
        await self._make_groups(everything)
        self._all = everything
        self._own = everything if own == everything else own

    async def _make_groups(self, streams: Streams) -> None:
        missing = [name for name in streams.names if name not in self._grouped]
        # From 0, not from now on: what was sent before the group existed is to be delivered too.
        made = await asyncio.gather(
            *(
                self._session.call("XGROUP", "CREATE", name, self._consumer.role, "0", "MKSTREAM")
                for name in missing
            ),
            return_exceptions=True,
        )
        for name, outcome in zip(missing, made, strict=True):
            if isinstance(outcome, BaseException) and "BUSYGROUP" not in str(outcome):
                raise outcome
            self._grouped.add(name)

    def _reply_lost(self) -> None:
        """Has the next `receive` look for entries that were delivered and have not arrived."""
        self._connection.drop()
        self._unblock()
        self._drain_due = True
        self._drain_until = asyncio.get_running_loop().time() + 2 * BLOCK_SECONDS

    def _unblock(self) -> None:
        # Redis may take its time to notice that a connection is gone; meanwhile its read would go on to
        # swallow entries, such as those this very consumer releases because it stops.
        if self._client is not None:
            self._session.unblock(self._client)

    async def _groups_lost(self, error: StoreError) -> StoreError:
        log.critical(
            "a stream or its consumer group was deleted: %s", error, extra={"action": "redis_group_lost"}
        )
        self._grouped.clear()
        self._looked_at = None
        await self._session.recognise(self._session.call)
        return StoreUnavailable("a stream or its consumer group was deleted; it is made again")


def _triples(flat: list[Any]) -> Iterator[tuple[int, Any, int]]:
    return zip(flat[::3], flat[1::3], flat[2::3], strict=True)


def _age(id_: str) -> tuple[int, ...]:
    return tuple(map(int, id_.split("-")))
