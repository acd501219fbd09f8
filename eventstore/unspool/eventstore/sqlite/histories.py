"""Starts of executions, histories and snapshots."""

from collections.abc import Callable, Iterator, Sequence

import orjson

from unspool.eventstore.events import Event, decode_entry
from unspool.eventstore.ids import STORED_ID, TENANT
from unspool.eventstore.records import ExecutionKey, Loaded, Snapshot, Start, Status, start_message
from unspool.eventstore.sqlite.connection_thread import Transaction
from unspool.eventstore.sqlite.index import read_record
from unspool.eventstore.sqlite.mixin import StoreMixin, message_row, put_message
from unspool.eventstore.sqlite.retention import forget_dropped
from unspool.eventstore.sqlite.tags import ADD_TAG, tag_rows


def prepared_start(start: Start) -> Callable[[Transaction], bool]:
    """A start, to be applied in a transaction. Raises `ValueError` if its key is not valid."""
    _check_key(start.key)
    row = (
        *start.key,
        *start.workflow,
        Status.PENDING.value,
        start.created_at,
        orjson.dumps(start.input),
        None if start.parent is None else orjson.dumps([*start.parent]),
        start.idempotency_key,
        orjson.dumps(dict(start.tags)) if start.tags else None,
    )
    tags = tag_rows(start.key, start.created_at, start.tags)
    message = message_row(start.key.tenant, start_message(start))

    def insert(transaction: Transaction) -> bool:
        inserted = transaction.execute(
            "INSERT INTO executions (tenant, id, namespace, name, definition_version, status,"
            " created_at, pending_input, parent, idempotency_key, tags)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING",
            row,
        )
        if not inserted.rowcount:
            return False
        forget_dropped(transaction, start.key)
        if tags:
            transaction.executemany(ADD_TAG, tags)
        put_message(transaction, message)
        return True

    return insert


class SqliteHistories(StoreMixin):
    """The port's `Histories`, without commits and the index."""

    async def start(self, start: Start) -> bool:
        """See `Histories`."""
        return await self._database.write(prepared_start(start))

    async def history(self, key: ExecutionKey, *, after: int = 0, limit: int | None = None) -> list[Event]:
        """See `Histories`."""

        def read(transaction: Transaction) -> list[Event]:
            events: list[Event] = []
            # An entry holds at least one event, so `limit` entries are enough. The rest is not decoded.
            for entry in _entries(transaction, key, after, -1 if limit is None else limit):
                events += [event for event in decode_entry(entry) if event.seq > after]
                if limit is not None and len(events) >= limit:
                    break
            return events if limit is None else events[:limit]

        return await self._database.read(read)

    async def last_event(self, key: ExecutionKey) -> Event | None:
        """See `Histories`."""

        def read(transaction: Transaction) -> Event | None:
            row = transaction.execute(
                "SELECT entry FROM history WHERE tenant = ? AND execution = ? ORDER BY version DESC LIMIT 1",
                key,
            ).fetchone()
            return row and decode_entry(row[0])[-1]

        return await self._database.read(read)

    async def load(self, keys: Sequence[ExecutionKey], entries: int) -> list[Loaded | None]:
        """See `Histories`."""
        return await self._database.read(
            lambda transaction: [_load(transaction, key, entries) for key in keys]
        )

    async def trim_history(self, key: ExecutionKey, before: int) -> None:
        """See `Histories`."""

        def trim(transaction: Transaction) -> None:
            transaction.execute(
                "DELETE FROM history WHERE tenant = ? AND execution = ? AND version < ?", (*key, before)
            )

        await self._database.write(trim, durable=False)

    async def put_snapshot(self, key: ExecutionKey, snapshot: Snapshot) -> None:
        """See `Histories`."""

        def put(transaction: Transaction) -> None:
            transaction.execute(
                "INSERT INTO snapshots (tenant, execution, version, state) VALUES (?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET version = excluded.version, state = excluded.state"
                " WHERE excluded.version >= version",
                (*key, snapshot.version, snapshot.state),
            )

        await self._database.write(put, durable=False)

    async def wait_for_version(self, key: ExecutionKey, after: int, seconds: float) -> None:
        """See `Histories`."""

        def is_newer(transaction: Transaction) -> bool:
            row = transaction.execute(
                "SELECT 1 FROM executions WHERE tenant = ? AND id = ? AND version > ?", (*key, after)
            ).fetchone()
            return row is not None

        await self._database.poll_until_found(
            lambda: self._database.read(is_newer), frozenset({key}), seconds
        )


def _load(transaction: Transaction, key: ExecutionKey, limit: int) -> Loaded | None:
    record = read_record(transaction, key)
    if record is None:
        return None
    row = transaction.execute(
        "SELECT version, state FROM snapshots WHERE tenant = ? AND execution = ?", key
    ).fetchone()
    snapshot = None if row is None else Snapshot(*row)
    entries = _entries(transaction, key, 0 if snapshot is None else snapshot.version, limit)
    return Loaded(record, snapshot, [event for entry in entries for event in decode_entry(entry)])


def _entries(transaction: Transaction, key: ExecutionKey, after: int, limit: int) -> Iterator[bytes]:
    """Up to `limit` entries that end after event `after`, each read when it is asked for; -1 for all."""
    rows = transaction.execute(
        "SELECT entry FROM history WHERE tenant = ? AND execution = ? AND version > ?"
        " ORDER BY version LIMIT ?",
        (*key, after, limit),
    )
    return (entry for [entry] in rows)


def _check_key(key: ExecutionKey) -> None:
    if not TENANT.fullmatch(key.tenant):
        raise ValueError(f"not a tenant: {key.tenant!r}")
    if not STORED_ID.fullmatch(key.id):
        raise ValueError(f"not an execution id: {key.id!r}")
