"""Retention: in each shard a sorted set has the ended executions, by the time when they are due for a look.

`commit.lua` adds an execution that ends. Those that ended before there was this set, or on a worker of an
earlier release, are found by comparing sizes: it must be as large as the indexes of the three ended statuses.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any, Final, NamedTuple

from unspool.eventstore.records import ExecutionKey, ExecutionRecord, Status
from unspool.eventstore.redis import scripts
from unspool.eventstore.redis.batched_calls import by_shard
from unspool.eventstore.redis.dead_letters import referred_executions
from unspool.eventstore.redis.index import FIELDS, record_of
from unspool.eventstore.redis.keys import Shard
from unspool.eventstore.redis.session import Session
from unspool.eventstore.redis.starts import indexes_of

_SHARDS_AT_ONCE: Final = 64
_DROPPED_AT_ONCE: Final = 50
"""Executions that one script call deletes, at most: other calls wait for it."""

_REREAD_SECONDS: Final = 10.0
_SCANNED_AT_ONCE: Final = 200
_ENDED: Final = (Status.CANCELLED, Status.FAULTED, Status.COMPLETED)


class _ScanPlace(NamedTuple):
    """How far the indexes of the ended statuses of a shard are scanned."""

    status: int
    cursor: int


class _Referred(NamedTuple):
    """The executions that the dead letters of a shard refer to."""

    letters: int
    read_at: float
    executions: frozenset[str]


class RedisRetention:
    """The ended executions of the store."""

    _session: Session

    def __init__(self) -> None:
        self._first_shard = 0
        self._scans: dict[str, _ScanPlace] = {}
        self._referred: dict[str, _Referred] = {}

    async def index_ended(self, limit: int) -> int:
        """See `Retention`."""
        looked_at = 0
        for shards in await self._turns():
            missing = await asyncio.gather(*(self._has_missing(shard) for shard in shards))
            for shard in (shard for shard, is_missing in zip(shards, missing, strict=True) if is_missing):
                looked_at += await self._scan(shard)
                if looked_at >= limit:
                    return looked_at
        return looked_at

    async def ended_before(self, time: int, limit: int) -> list[ExecutionRecord]:
        """See `Retention`."""
        keys: list[ExecutionKey] = []
        for shards in await self._turns():
            keys += await self._due_of_all(shards, time, limit)
            if len(keys) >= limit:
                break
        return await self._ended_records(keys[:limit])

    async def look_again_at(self, times: Mapping[ExecutionKey, int]) -> None:
        """See `Retention`."""
        shard_of, call = self._session.keys.shard, self._session.call
        moves = (call("ZADD", shard_of(key).ended, "XX", time, key.id) for key, time in times.items())
        await asyncio.gather(*moves)

    async def drop(self, records: Sequence[ExecutionRecord]) -> list[bool]:
        """See `Retention`."""
        return await by_shard(
            self._session.keys,
            [record.key for record in records],
            _DROPPED_AT_ONCE,
            lambda shard, indexes: self._drop(shard, [records[index] for index in indexes]),
        )

    async def _turns(self) -> Iterable[Sequence[Shard]]:
        """All shards in groups; each call begins with another one, so that none waits for the others."""
        shards = self._session.keys.all_shards(await self._session.tenants())
        self._first_shard = first = (self._first_shard + 1) % len(shards)
        shards = shards[first:] + shards[:first]
        return (shards[at : at + _SHARDS_AT_ONCE] for at in range(0, len(shards), _SHARDS_AT_ONCE))

    async def _due_of_all(self, shards: Sequence[Shard], time: int, limit: int) -> list[ExecutionKey]:
        """The due executions of some shards, the oldest of each first.

        Usually all shards have about as many, so each is asked for its part. The others that have more are
        asked for all if this is too few.
        """
        part = limit // len(shards) + 1
        due = await asyncio.gather(*(self._due(shard, time, part) for shard in shards))
        if part <= max(map(len, due)) and sum(map(len, due)) < limit:
            due = await asyncio.gather(*(self._due(shard, time, limit) for shard in shards))
        return [key for of_all in zip_longest(*due) for key in of_all if key is not None]

    async def _due(self, shard: Shard, time: int, limit: int) -> list[ExecutionKey]:
        ids: list[bytes] = await self._session.call(
            "ZRANGEBYSCORE", shard.ended, "-inf", f"({time}", "LIMIT", 0, limit
        )
        return [ExecutionKey(shard.tenant, id_.decode()) for id_ in ids]

    async def _ended_records(self, keys: Sequence[ExecutionKey]) -> list[ExecutionRecord]:
        """The records of executions, except those that another service deletes now."""
        names = (self._session.keys.shard(key).execution(key.id) for key in keys)
        replies: list[list[Any]] = await asyncio.gather(
            *(self._session.call("HMGET", name, *FIELDS) for name in names)
        )
        return [
            record_of(key, fields, None)
            for key, fields in zip(keys, replies, strict=True)
            if fields[0] is not None
        ]

    async def _drop(self, shard: Shard, records: Sequence[ExecutionRecord]) -> list[bool]:
        needed = await self._needed(shard)
        free = [record for record in records if record.key.id not in needed]
        names = [shard.ended, shard.index, shard.outbox, *(shard.status(status) for status in _ENDED)]
        names.append(shard.ids)
        values: list[str | int] = []
        for record in free:
            id_ = record.key.id
            own = (shard.execution(id_), shard.history(id_), shard.snapshot(id_), shard.input(id_))
            indexes = indexes_of(shard, record)
            names += (*own, *indexes)
            values += (id_, record.version, len(own) + len(indexes))
        answers = await self._session.run(scripts.DROP, names, values) if free else []
        dropped = {record.key.id for record, answer in zip(free, answers, strict=True) if answer == 1}
        return [record.key.id in dropped for record in records]

    async def _needed(self, shard: Shard) -> frozenset[str]:
        """The executions that dead letters refer to, as of a few seconds ago."""
        letters = await self._session.call("XLEN", shard.dlq)
        if not letters:
            return frozenset()
        now = self._session.monotonic()
        known = self._referred.get(shard.topic)
        if known is None or known.letters != letters or now - known.read_at > _REREAD_SECONDS:
            known = _Referred(letters, now, await referred_executions(self._session, shard))
            self._referred[shard.topic] = known
        return known.executions

    async def _has_missing(self, shard: Shard) -> bool:
        names = [shard.ended, *(shard.status(status) for status in _ENDED)]
        known, *sizes = await asyncio.gather(*(self._session.call("ZCARD", name) for name in names))
        if sum(sizes) > known:
            return True
        self._scans.pop(shard.topic, None)
        return False

    async def _scan(self, shard: Shard) -> int:
        """Looks at some executions of the ended statuses; the next call continues."""
        place = self._scans.get(shard.topic, _ScanPlace(0, 0))
        index = shard.status(_ENDED[place.status])
        cursor, found = await self._session.call("ZSCAN", index, place.cursor, "COUNT", _SCANNED_AT_ONCE)
        ids = [id_.decode() for id_ in found[::2]]
        names = [shard.ended, index, *(shard.execution(id_) for id_ in ids)]
        await self._session.run(scripts.INDEX_ENDED, names, ids)
        status = (place.status + (int(cursor) == 0)) % len(_ENDED)
        self._scans[shard.topic] = _ScanPlace(status, int(cursor))
        return max(len(ids), 1)
