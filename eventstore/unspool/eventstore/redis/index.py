"""The records of executions. Each shard also has sorted sets of their ids, which `search.py` reads."""

import asyncio
from typing import Any, Final

import orjson

from unspool.eventstore.records import ExecutionKey, ExecutionRecord, Parent, Status, WorkflowRef
from unspool.eventstore.redis.session import Session
from unspool.eventstore.tags import NO_TAGS

FIELDS: Final = (
    "workflow",
    "status",
    "version",
    "created",
    "started",
    "ended",
    "commit",
    "parent",
    "key",
    "tags",
)


class RedisIndex:
    """The execution index of the store."""

    _session: Session

    async def execution(self, key: ExecutionKey) -> ExecutionRecord | None:
        """See `Histories`."""
        return await read_execution(self._session, key)


async def read_execution(session: Session, key: ExecutionKey) -> ExecutionRecord | None:
    """The record of an execution; None if it does not exist."""
    shard = session.keys.shard(key)
    while True:
        fields, waiting = await asyncio.gather(
            session.call("HMGET", shard.execution(key.id), *FIELDS),
            session.call("GET", shard.input(key.id)),
        )
        if fields[0] is None:
            return None
        record = record_of(key, fields, waiting)
        if record.version > 0 or waiting is not None:
            return record
        # The first commit removed the waiting input between the two reads.


def record_of(key: ExecutionKey, fields: list[Any], waiting_input: bytes | None) -> ExecutionRecord:
    """An execution, from its `FIELDS` and the input that is kept until its first commit."""
    workflow, status, version, created, started, ended, commit_id, parent, idempotency_key, tags = fields
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
        tags=NO_TAGS if tags is None else orjson.loads(tags),
    )
