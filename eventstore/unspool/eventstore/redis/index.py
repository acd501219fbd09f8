"""The index of executions: in each shard sorted sets by time of creation; pages merge the shards."""

import asyncio
import base64
import binascii
from typing import Any, Final, NamedTuple

import orjson

from unspool.eventstore.built_in import is_built_in
from unspool.eventstore.records import (
    ExecutionFilter,
    ExecutionKey,
    ExecutionRecord,
    Page,
    Parent,
    Status,
    WorkflowRef,
)
from unspool.eventstore.redis.keys import Shard
from unspool.eventstore.redis.session import Session

FIELDS: Final = ("workflow", "status", "version", "created", "started", "ended", "commit", "parent", "key")


class _Place(NamedTuple):
    """The sort key of an execution."""

    created: int
    id: str


class RedisIndex:
    """The execution index of the store."""

    _session: Session

    async def execution(self, key: ExecutionKey) -> ExecutionRecord | None:
        """See `Histories`."""
        shard = self._session.keys.shard(key)
        while True:
            fields, waiting = await asyncio.gather(
                self._session.call("HMGET", shard.execution(key.id), *FIELDS),
                self._session.call("GET", shard.input(key.id)),
            )
            if fields[0] is None:
                return None
            record = record_of(key, fields, waiting)
            if record.version > 0 or waiting is not None:
                return record
            # The first commit removed the waiting input between the two reads.

    async def executions(
        self, tenant: str, criteria: ExecutionFilter, *, limit: int = 50, cursor: str | None = None
    ) -> Page:
        """See `Histories`."""
        below = None if cursor is None else _place_of(cursor)
        indexes = await self._indexes(self._session.keys.tenant(tenant).shards, criteria)
        found: list[ExecutionRecord] = []
        while True:
            places = await self._places(indexes, criteria.since, below, limit + 1)
            found += await self._records(tenant, places, criteria)
            if len(found) > limit:
                last = found[limit - 1]
                return Page(tuple(found[:limit]), _cursor(_Place(last.created_at, last.key.id)))
            if len(places) <= limit:
                return Page(tuple(found), None)
            below = places[-1]

    async def _indexes(self, shards: tuple[Shard, ...], criteria: ExecutionFilter) -> list[str]:
        """The sorted sets to read. If the filter has status and workflow, the smaller ones of the two."""
        choices: list[list[str]] = []
        if criteria.workflow is not None:
            choices.append([shard.workflow(*criteria.workflow) for shard in shards])
        if criteria.status is not None:
            choices.append([shard.status(criteria.status) for shard in shards])
        if len(choices) < 2:
            return choices[0] if choices else [shard.index for shard in shards]
        sizes = [
            await asyncio.gather(*(self._session.call("ZCARD", key) for key in keys)) for keys in choices
        ]
        return choices[0] if sum(sizes[0]) <= sum(sizes[1]) else choices[1]

    async def _places(
        self, indexes: list[str], since: int | None, below: _Place | None, limit: int
    ) -> list[_Place]:
        """The `limit` newest executions below a place, from the `limit` newest of each index."""
        newest = await asyncio.gather(*(self._newest(index, since, below, limit) for index in indexes))
        return sorted((place for places in newest for place in places), reverse=True)[:limit]

    async def _newest(self, index: str, since: int | None, below: _Place | None, limit: int) -> list[_Place]:
        bounds = ("+inf" if below is None else below.created, "-inf" if since is None else since)
        places: list[_Place] = []
        offset = 0
        while len(places) < limit:
            reply: list[bytes] = await self._session.call(
                "ZREVRANGEBYSCORE", index, *bounds, "WITHSCORES", "LIMIT", offset, limit
            )
            page = [
                _Place(int(score), id_.decode()) for id_, score in zip(reply[::2], reply[1::2], strict=True)
            ]
            places += [place for place in page if below is None or place < below]
            if len(page) < limit:
                break
            offset += limit
        return places

    async def _records(
        self, tenant: str, places: list[_Place], criteria: ExecutionFilter
    ) -> list[ExecutionRecord]:
        records = await asyncio.gather(*(self.execution(ExecutionKey(tenant, place.id)) for place in places))
        return [record for record in records if record is not None and _fits(record, criteria)]


def _fits(record: ExecutionRecord, criteria: ExecutionFilter) -> bool:
    if criteria.workflow is None and is_built_in(record.key.id):
        return False
    return criteria.status in (None, record.status) and criteria.workflow in (None, record.workflow[:2])


def record_of(key: ExecutionKey, fields: list[Any], waiting_input: bytes | None) -> ExecutionRecord:
    """An execution, from its `FIELDS` and the input that is kept until its first commit."""
    workflow, status, version, created, started, ended, commit_id, parent, idempotency_key = fields
    return ExecutionRecord(
        key=key,
        workflow=WorkflowRef(*orjson.loads(workflow)),
        status=Status(status.decode()),
        version=int(version),
        created_at=int(created),
        started_at=None if started is None else int(started),
        ended_at=None if ended is None else int(ended),
        commit_id=None if commit_id is None else commit_id.decode(),
        pending_input=None if waiting_input is None else orjson.loads(waiting_input),
        parent=None if parent is None else Parent(*orjson.loads(parent)),
        idempotency_key=None if idempotency_key is None else idempotency_key.decode(),
    )


def _cursor(place: _Place) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([*place])).decode()


def _place_of(cursor: str) -> _Place:
    try:
        created, id_ = orjson.loads(base64.b64decode(cursor, altchars=b"-_", validate=True))
    except (ValueError, TypeError, binascii.Error):
        raise ValueError(f"not a cursor: {cursor!r}") from None
    if type(created) is not int or type(id_) is not str:
        raise ValueError(f"not a cursor: {cursor!r}")
    return _Place(created, id_)
