"""Executions: their start and their histories."""

import asyncio
from typing import Any, Final

from redis.exceptions import ResponseError

from unspool.eventstore.consumers import WORKERS
from unspool.eventstore.errors import CorruptHistory
from unspool.eventstore.events import Event, decode_entry
from unspool.eventstore.ids import STORED_ID
from unspool.eventstore.records import ExecutionKey, Snapshot, Start
from unspool.eventstore.redis import scripts
from unspool.eventstore.redis.batched_calls import BatchedCalls
from unspool.eventstore.redis.failures import as_store_error
from unspool.eventstore.redis.keys import Shard
from unspool.eventstore.redis.session import Session
from unspool.eventstore.redis.socket_connection import Argument
from unspool.eventstore.redis.starts import PreparedStart, prepared, shared_keys

PAGE: Final = 500
"""Entries in one read: Redis serves no other client during it."""

_FIRST: Final = 16
"""Entries in the first read of a limited number of events. They can have one event each, or hundreds."""

_RECHECK_SECONDS: Final = 2.0


class RedisHistories:
    """The executions and histories of the store."""

    _session: Session

    def __init__(self) -> None:
        self._starting: BatchedCalls[Shard, PreparedStart, bool] = BatchedCalls(self._start)

    async def start(self, start: Start) -> bool:
        """See `Histories`.

        Raises:
            ValueError: the id or the tenant is not valid.
        """
        tenant, id_ = start.key
        if not STORED_ID.fullmatch(id_):
            raise ValueError(f"not an execution id: {id_!r}")
        await self._session.add_tenant(tenant)
        shard = self._session.keys.shard(start.key)
        return await self._starting.add(shard, prepared(shard, start))

    async def _start(self, shard: Shard, starts: list[PreparedStart]) -> list[bool | Exception]:
        """Creates executions of one shard."""
        names = [*shared_keys(shard)]
        values: list[Argument] = []
        for its_names, its_values in starts:
            names += its_names
            values += its_values
        answers = await self._session.run(scripts.START, names, values)
        self._session.announce(WORKERS, (shard,))
        return [as_store_error(made) if isinstance(made, ResponseError) else bool(made) for made in answers]

    async def history(self, key: ExecutionKey, *, after: int = 0, limit: int | None = None) -> list[Event]:
        """See `Histories`."""
        stream = self._session.keys.shard(key).history(key.id)
        events: list[Event] = []
        read = 0
        while limit is None or len(events) < limit:
            count = PAGE if limit is None else _next_count(limit - len(events), len(events), read)
            # The id of an entry is the number of its last event.
            last = events[-1].seq if events else after
            page = await self._session.call("XRANGE", stream, f"{last + 1}-0", "+", "COUNT", count)
            read += len(page)
            for entry in page:
                events += [event for event in events_of(entry) if event.seq > last]
                if limit is not None and len(events) >= limit:
                    break
            if len(page) < count:
                break
        return events if limit is None else events[:limit]

    async def last_event(self, key: ExecutionKey) -> Event | None:
        """See `Histories`."""
        stream = self._session.keys.shard(key).history(key.id)
        page = await self._session.call("XREVRANGE", stream, "+", "-", "COUNT", 1)
        return events_of(page[0])[-1] if page else None

    async def trim_history(self, key: ExecutionKey, before: int) -> None:
        """See `Histories`."""
        stream = self._session.keys.shard(key).history(key.id)
        await self._session.call("XTRIM", stream, "MINID", "=", f"{before}-0")

    async def put_snapshot(self, key: ExecutionKey, snapshot: Snapshot) -> None:
        """See `Histories`."""
        name = self._session.keys.shard(key).snapshot(key.id)
        await self._session.run(scripts.SNAPSHOT, (name,), (snapshot.version, snapshot.state))

    async def wait_for_version(self, key: ExecutionKey, after: int, seconds: float) -> None:
        """See `Histories`."""
        shard = self._session.keys.shard(key)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while True:
            async with self._session.notifications.watch(shard.notifications, key.id) as watch:
                while not watch.over:
                    version = await self._session.call("HGET", shard.execution(key.id), "version")
                    left = deadline - loop.time()
                    if int(version or 0) > after or left <= 0:
                        return
                    # Reads again after some seconds, because a broken connection may be noticed late.
                    await watch.changed(min(left, _RECHECK_SECONDS))


def events_of(entry: Any) -> tuple[Event, ...]:
    """The events of an entry as Redis returns it. Raises `CorruptHistory`."""
    id_, fields = entry
    try:
        return decode_entry(fields[1])
    except CorruptHistory as error:
        raise CorruptHistory(f"{error} (entry {id_.decode()})") from None


def _next_count(missing: int, found: int, read: int) -> int:
    """How many entries to read for `missing` more events, when `read` entries had `found` events."""
    if not found:
        return min(missing, _FIRST)
    return min(PAGE, max(1, missing * read // found))
