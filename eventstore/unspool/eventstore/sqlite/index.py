"""The index of executions, for lists and searches."""

import re
from typing import Any, Final

import orjson

from unspool.eventstore.built_in import NAMESPACE
from unspool.eventstore.records import (
    ExecutionFilter,
    ExecutionKey,
    ExecutionRecord,
    Page,
    Parent,
    Status,
    WorkflowRef,
)
from unspool.eventstore.sqlite.connection_thread import Transaction
from unspool.eventstore.sqlite.mixin import StoreMixin

RECORD_COLUMNS: Final = (
    "tenant, id, namespace, name, definition_version, status, version, created_at, started_at, ended_at,"
    " commit_id, pending_input, parent, idempotency_key"
)
_CURSOR: Final = re.compile(r"([0-9]{1,18})_([A-Za-z0-9_.-]{1,128})")


class SqliteIndex(StoreMixin):
    """Reads the index; commits write it."""

    async def execution(self, key: ExecutionKey) -> ExecutionRecord | None:
        """See `Histories`."""
        return await self._database.read(lambda transaction: read_record(transaction, key))

    async def executions(
        self, tenant: str, criteria: ExecutionFilter, *, limit: int = 50, cursor: str | None = None
    ) -> Page:
        """See `Histories`."""
        conditions, parameters = _conditions(tenant, criteria, cursor)
        # One row more than `limit` shows whether there is another page.
        sql = (
            f"SELECT {RECORD_COLUMNS} FROM executions WHERE {conditions}"  # noqa: S608 - no outside text
            " ORDER BY created_at DESC, id DESC LIMIT ?"
        )

        def read(transaction: Transaction) -> Page:
            rows = transaction.execute(sql, (*parameters, limit + 1)).fetchall()
            records = tuple(record_of(*row) for row in rows[:limit])
            return Page(records, _cursor(records[-1]) if len(rows) > limit else None)

        return await self._database.read(read)


def read_record(transaction: Transaction, key: ExecutionKey) -> ExecutionRecord | None:
    """The index record of one execution."""
    row = transaction.execute(
        f"SELECT {RECORD_COLUMNS} FROM executions WHERE tenant = ? AND id = ?",  # noqa: S608 - our own columns
        key,
    ).fetchone()
    return None if row is None else record_of(*row)


def _conditions(tenant: str, criteria: ExecutionFilter, cursor: str | None) -> tuple[str, tuple[Any, ...]]:
    limits: dict[str, tuple[Any, ...]] = {"tenant = ?": (tenant,)}
    if criteria.status is not None:
        limits["status = ?"] = (criteria.status.value,)
    if criteria.workflow is not None:
        limits["namespace = ? AND name = ?"] = criteria.workflow
    else:
        limits["namespace <> ?"] = (NAMESPACE,)
    if criteria.since is not None:
        limits["created_at >= ?"] = (criteria.since,)
    if cursor is not None:
        limits["(created_at, id) < (?, ?)"] = _position(cursor)
    return " AND ".join(limits), tuple(value for values in limits.values() for value in values)


def _cursor(last: ExecutionRecord) -> str:
    return f"{last.created_at}_{last.key.id}"


def _position(cursor: str) -> tuple[int, str]:
    match = _CURSOR.fullmatch(cursor)
    if not match:
        raise ValueError("not a cursor of this store")
    return int(match[1]), match[2]


def record_of(
    tenant: str, id_: str, namespace: str, name: str, definition_version: str, *rest: Any
) -> ExecutionRecord:
    """The record of a row of `RECORD_COLUMNS`."""
    status, version, created_at, started_at, ended_at, commit_id, pending_input, parent, key = rest
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
    )
