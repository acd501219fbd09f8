"""Reads records, snapshots and histories of many executions in one call."""

from collections.abc import Sequence
from typing import Any, Final

from unspool.eventstore.records import ExecutionKey, Loaded, Snapshot
from unspool.eventstore.redis import scripts
from unspool.eventstore.redis.batched_calls import by_shard
from unspool.eventstore.redis.histories import events_of
from unspool.eventstore.redis.index import FIELDS, record_of
from unspool.eventstore.redis.keys import Shard
from unspool.eventstore.redis.session import Session

_MAX_EXECUTIONS: Final = 32


class RedisLoading:
    """The bulk reads of the store."""

    _session: Session

    async def load(self, keys: Sequence[ExecutionKey], entries: int) -> list[Loaded | None]:
        """See `Histories`."""
        return await by_shard(
            self._session.keys,
            keys,
            _MAX_EXECUTIONS,
            lambda shard, indexes: self._load(shard, [keys[index] for index in indexes], entries),
        )

    async def _load(self, shard: Shard, keys: Sequence[ExecutionKey], entries: int) -> list[Loaded | None]:
        names = [
            name
            for _, id_ in keys
            for name in (shard.execution(id_), shard.input(id_), shard.snapshot(id_), shard.history(id_))
        ]
        replies = await self._session.run(scripts.LOAD, names, (entries, *FIELDS))
        return [_loaded(key, *reply) for key, reply in zip(keys, replies, strict=True)]


def _loaded(
    key: ExecutionKey, fields: list[Any], waiting: bytes | None, snapshot: bytes | None, entries: list[Any]
) -> Loaded | None:
    if fields[0] is None:
        return None
    events = [event for entry in entries for event in events_of(entry)]
    return Loaded(record_of(key, fields, waiting), _snapshot(snapshot), events)


def _snapshot(stored: bytes | None) -> Snapshot | None:
    if stored is None:
        return None
    version, _, state = stored.partition(b" ")
    return Snapshot(int(version), state)
