"""Sinks: a table has the position of every sink on the bus of each tenant."""

from collections.abc import Collection
from functools import partial
from typing import Final

import orjson

from unspool.eventstore.consumers import Consumer
from unspool.eventstore.published_events import EventBatch
from unspool.eventstore.sinks import SinkProgress, SinkStatus, log_forgotten, summed
from unspool.eventstore.sqlite.connection_thread import Precheck, Transaction
from unspool.eventstore.sqlite.deliveries import SqliteDeliveries
from unspool.eventstore.sqlite.event_bus import AFTER
from unspool.eventstore.sqlite.leases import LIVE, live_parameters, owner_of
from unspool.eventstore.sqlite.notifications import EVENTS
from unspool.eventstore.sqlite.publishing import published

_BEGIN: Final = (
    "INSERT INTO sink_positions (tenant, name, position) SELECT tenant, ?, newest FROM buses WHERE TRUE"
    " ON CONFLICT DO NOTHING"
)
_KEEP: Final = "INSERT INTO sinks VALUES (?, ?) ON CONFLICT DO UPDATE SET kept_at = excluded.kept_at"
_EXPIRED: Final = "SELECT name FROM sinks WHERE kept_at < ?"
_FORGET: Final = ("DELETE FROM sink_positions WHERE name = ?", "DELETE FROM sinks WHERE name = ?")
_PENDING: Final = (
    "FROM buses LEFT JOIN sink_positions AS sink ON sink.tenant = buses.tenant AND sink.name = ?"
    " WHERE newest > coalesce(position, 0)"
)
_NEXT: Final = (
    f"SELECT buses.tenant, coalesce(position, 0) {_PENDING}"  # noqa: S608 - constants
    " AND (sink.holder IS NULL OR sink.holder = ?"
    f" OR sink.holder NOT IN (SELECT owner FROM consumers WHERE {LIVE}))"
    " AND buses.tenant NOT IN (SELECT value FROM json_each(?))"
    " ORDER BY buses.tenant <= ?, buses.tenant LIMIT 1"
)
_HOLD: Final = (
    "INSERT INTO sink_positions (tenant, name, holder) VALUES (?, ?, ?)"
    " ON CONFLICT DO UPDATE SET holder = excluded.holder"
)
_PROGRESS: Final = (
    "INSERT INTO sink_positions (tenant, name, position, sent, refused, failures, failing_since, failure)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET position = max(position, excluded.position),"
    " sent = sent + excluded.sent, refused = refused + excluded.refused,"
    " failures = failures + excluded.failures, failure = excluded.failure,"
    " failing_since = CASE WHEN excluded.failure = '' THEN NULL"
    " ELSE coalesce(failing_since, excluded.failing_since) END"
)
_LET_GO: Final = "UPDATE sink_positions SET holder = NULL WHERE tenant = ? AND name = ? AND holder = ?"
_STATUS: Final = (
    "SELECT CASE WHEN newest > coalesce(sink.position, 0) THEN"
    " (SELECT count(*) FROM bus_events"
    "  WHERE bus_events.tenant = buses.tenant AND bus_events.position > coalesce(sink.position, 0))"
    " ELSE 0 END, coalesce(sent, 0), coalesce(refused, 0), coalesce(dropped, 0), coalesce(failures, 0),"
    " failing_since, coalesce(failure, '')"
    " FROM buses LEFT JOIN sink_positions AS sink ON sink.tenant = buses.tenant AND sink.name = ?"
)


class SqliteSinks(SqliteDeliveries):
    """The sinks of the store."""

    _sent_last: dict[str, str]
    """By sink, the tenant that was served last."""

    async def keep_sinks(self, names: Collection[str]) -> list[str]:
        """See `EventSinks`."""
        now = self._database.clock.now()
        expired_at = now - int(self._events.sink_expiry_hours * 3_600_000)

        def keep(transaction: Transaction) -> list[str]:
            known = {name for [name] in transaction.execute("SELECT name FROM sinks").fetchall()}
            for name in names:
                if name not in known:
                    transaction.execute(_BEGIN, (name,))
                transaction.execute(_KEEP, (name, now))
            expired = [name for [name] in transaction.execute(_EXPIRED, (expired_at,)).fetchall()]
            for name in expired:
                for statement in _FORGET:
                    transaction.execute(statement, (name,))
            return expired

        expired = await self._database.write(keep)
        for name in expired:
            log_forgotten(name)
        return expired

    async def receive_for_sink(
        self,
        consumer: Consumer,
        sink: str,
        limit: int,
        seconds: float,
        skip: frozenset[str] = frozenset(),
    ) -> EventBatch | None:
        """See `EventSinks`."""
        owner = owner_of(consumer)
        if owner not in self._registered:
            await self.heartbeat(consumer)  # so that it counts as alive
        pending = Precheck(f"SELECT 1 {_PENDING} LIMIT 1", (sink,))

        async def take() -> EventBatch | None:
            work = partial(self._take_for_sink, owner=owner, sink=sink, limit=limit, skip=skip)
            return await self._database.write(work, pending, durable=False) or None

        return await self._database.poll_until_found(take, frozenset({EVENTS}), seconds)

    async def record_progress(self, consumer: Consumer, sink: str, progress: SinkProgress) -> None:
        """See `EventSinks`."""
        tenant, _, position, sent, refused, failure = progress
        now = self._database.clock.now() if failure else None
        row = (tenant, sink, int(position), sent, refused, int(bool(failure)), now, failure)

        def record(transaction: Transaction) -> None:
            transaction.execute(_PROGRESS, row)
            if not failure:
                transaction.execute(_LET_GO, (tenant, sink, owner_of(consumer)))

        await self._database.write(record)

    async def sinks(self) -> list[SinkStatus]:
        """See `EventSinks`."""

        def read(transaction: Transaction) -> list[SinkStatus]:
            kept = transaction.execute("SELECT name, kept_at FROM sinks ORDER BY name").fetchall()
            return [
                summed(
                    SinkStatus(name, at),
                    [SinkStatus(name, at, *row) for row in transaction.execute(_STATUS, (name,)).fetchall()],
                )
                for name, at in kept
            ]

        return await self._database.read(read)

    def _take_for_sink(
        self, transaction: Transaction, owner: str, sink: str, limit: int, skip: frozenset[str]
    ) -> EventBatch | None:
        live = live_parameters(self._database.monotonic(), self._database.outages)
        last = self._sent_last.get(sink, "")
        skipped = orjson.dumps(sorted(skip)).decode()
        bus = transaction.execute(_NEXT, (sink, owner, *live, skipped, last)).fetchone()
        if bus is None:
            return None
        tenant, position = bus
        self._sent_last[sink] = tenant
        transaction.execute(_HOLD, (tenant, sink, owner))
        rows = transaction.execute(AFTER, (tenant, position, limit)).fetchall()
        return EventBatch(tenant, tuple(published(*row) for row in rows), str(position))
