"""Adds executions of earlier releases to the indexes that those did not have.

An index is complete if it is as large as the one of all executions. If not, that one is read in pieces.
"""

import asyncio
from typing import Final

import orjson

from unspool.eventstore.built_in import is_built_in
from unspool.eventstore.records import Parent
from unspool.eventstore.redis import scripts
from unspool.eventstore.redis.keys import Shard
from unspool.eventstore.redis.session import Session

_SCANNED_AT_ONCE: Final = 200


class RedisIndexing:
    """The indexes of executions by id and by parent."""

    _session: Session

    def __init__(self) -> None:
        self._cursors: dict[str, int] = {}
        """By shard, where the scan of its executions continues."""

    async def index_existing(self, limit: int) -> int:
        """See `Retention`."""
        looked_at = 0
        for shard in self._session.keys.all_shards(await self._session.tenants()):
            while await self._is_incomplete(shard):
                looked_at += await self._index_some(shard)
                if looked_at >= limit:
                    return looked_at
        return looked_at

    async def _is_incomplete(self, shard: Shard) -> bool:
        names = (shard.index, shard.ids)
        every, known = await asyncio.gather(*(self._session.call("ZCARD", name) for name in names))
        return int(every) > int(known)

    async def _index_some(self, shard: Shard) -> int:
        cursor = self._cursors.get(shard.topic, 0)
        following, found = await self._session.call("ZSCAN", shard.index, cursor, "COUNT", _SCANNED_AT_ONCE)
        ids = [id_.decode() for id_ in found[::2]]
        parents = await asyncio.gather(*(self._parent_index(shard, id_) for id_ in ids))
        names = [shard.ids, shard.index]
        for id_, index in zip(ids, parents, strict=True):
            names += (shard.execution(id_), index)
        await self._session.run(scripts.INDEX_EXISTING, names, ids)
        self._cursors[shard.topic] = int(following)
        return max(len(ids), 1)

    async def _parent_index(self, shard: Shard, id_: str) -> str:
        """The index of the sub-workflows of its parent; the index by id if it has none."""
        stored: bytes | None = await self._session.call("HGET", shard.execution(id_), "parent")
        if stored is None:
            return shard.ids
        parent = Parent(*orjson.loads(stored))
        return shard.ids if is_built_in(parent.execution) else shard.parent(parent.execution)
