"""The index of executions: their records."""

from typing import Any, Final

import orjson

from unspool.eventstore.records import ExecutionKey, ExecutionRecord, Parent, Status, WorkflowRef
from unspool.eventstore.sqlite.connection_thread import Transaction
from unspool.eventstore.sqlite.mixin import StoreMixin
from unspool.eventstore.tags import NO_TAGS

RECORD_COLUMNS: Final = (
    "tenant, id, namespace, name, definition_version, status, version, created_at, started_at, ended_at,"
    " commit_id, pending_input, parent, idempotency_key, tags"
)


class SqliteIndex(StoreMixin):
    """Reads the index; commits write it."""

    async def execution(self, key: ExecutionKey) -> ExecutionRecord | None:
        """See `Histories`."""
        return await self._database.read(lambda transaction: read_record(transaction, key))


def read_record(transaction: Transaction, key: ExecutionKey) -> ExecutionRecord | None:
    """The index record of one execution."""
    row = transaction.execute(
        f"SELECT {RECORD_COLUMNS} FROM executions WHERE tenant = ? AND id = ?",  # noqa: S608 - our own columns
        key,
    ).fetchone()
    return None if row is None else record_of(*row)


def record_of(
    tenant: str, id_: str, namespace: str, name: str, definition_version: str, *rest: Any
) -> ExecutionRecord:
    """The record of a row of `RECORD_COLUMNS`."""
    status, version, created_at, started_at, ended_at, commit_id, pending_input, parent, key, tags = rest
    return ExecutionRecord(
        key=ExecutionKey(tenant, id_),
        workflow=WorkflowRef(namespace, name, definition_version),
        status=Status(status),
        version=version,
        created_at=created_at,
        started_at=started_at,
        ended_at=ended_at,
        commit_id=commit_id,
        pending_input=None if pending_input is None else orjson.loads(pending_input),
        parent=None if parent is None else Parent(*orjson.loads(parent)),
        idempotency_key=key,
        tags=NO_TAGS if tags is None else orjson.loads(tags),
    )
