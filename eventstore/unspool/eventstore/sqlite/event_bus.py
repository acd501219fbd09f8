"""The event bus: the published events of each tenant, and how they reach the subscriptions."""

import re
from collections.abc import Sequence
from functools import partial
from typing import Final

import orjson

from unspool.eventstore.consumers import Consumer
from unspool.eventstore.event_bus import BEFORE_ALL
from unspool.eventstore.ids import TENANT
from unspool.eventstore.published_events import CloudEvent, EventBatch, KeysOf, PublishedEvent, Shapes
from unspool.eventstore.sinks import log_dropped
from unspool.eventstore.sqlite import acceptances, listeners, look_backs
from unspool.eventstore.sqlite.bus_retention import Kept
from unspool.eventstore.sqlite.connection_thread import Precheck, Transaction
from unspool.eventstore.sqlite.deliveries import SqliteDeliveries
from unspool.eventstore.sqlite.leases import LIVE, live_parameters, owner_of
from unspool.eventstore.sqlite.matching import Keyed, KnownShapes, Piece, match_piece
from unspool.eventstore.sqlite.notifications import EVENTS
from unspool.eventstore.sqlite.publishing import published

_POSITION: Final = re.compile(r"[0-9]{1,18}")
_ANY_UNMATCHED: Final = Precheck(
    "SELECT 1 WHERE EXISTS (SELECT 1 FROM buses WHERE newest > matched) OR EXISTS (SELECT 1 FROM look_backs)"
)
_NEXT_BUS: Final = (
    "SELECT tenant, matched FROM buses WHERE newest > matched AND (holder IS NULL OR holder = ?"  # noqa: S608 - constant
    f" OR holder NOT IN (SELECT owner FROM consumers WHERE {LIVE}))"
    " ORDER BY tenant <= ?, tenant LIMIT 1"
)
_ANY_LOOK_BACK: Final = (
    "SELECT look_backs.tenant, matched FROM look_backs JOIN buses ON buses.tenant = look_backs.tenant LIMIT 1"
)
_HOLD: Final = "UPDATE buses SET holder = ? WHERE tenant = ?"
_LET_GO: Final = "UPDATE buses SET holder = NULL WHERE tenant = ? AND holder = ?"
_EVENTS: Final = "SELECT position, event, published_at FROM bus_events WHERE tenant = ?"
AFTER: Final = f"{_EVENTS} AND position > ? ORDER BY position LIMIT ?"
"""The events after a position."""

_AT: Final = f"{_EVENTS} AND position = ?"
_NEWEST: Final = f"{_EVENTS} ORDER BY position DESC LIMIT ?"
_NEVER: Final = 1 << 62
"""A time after all others, in milliseconds."""

_NO_SHAPES: Final = KnownShapes(0, ())


class SqliteEventBus(SqliteDeliveries):
    """The port's `EventBus`."""

    _shapes: dict[str, KnownShapes]
    _served_last: str

    async def publish(self, tenant: str, events: Sequence[CloudEvent]) -> int:
        """See `EventBus`."""
        if not TENANT.fullmatch(tenant):
            raise ValueError(f"not a tenant: {tenant!r}")
        return await self._database.write(self._publisher.prepared(tenant, events))

    async def receive_events(self, consumer: Consumer, limit: int, seconds: float) -> EventBatch | None:
        """See `EventBus`."""
        owner = owner_of(consumer)
        if owner not in self._registered:
            await self.heartbeat(consumer)  # so that it counts as alive

        async def take() -> EventBatch | None:
            work = partial(self._take_events, owner=owner, limit=limit)
            return await self._database.write(work, _ANY_UNMATCHED, durable=False) or None

        return await self._database.poll_until_found(take, frozenset({EVENTS}), seconds)

    async def let_go(self, consumer: Consumer, tenant: str) -> None:
        """See `EventBus`."""

        def let_go(transaction: Transaction) -> None:
            transaction.execute(_LET_GO, (tenant, owner_of(consumer)))

        await self._database.write(let_go, durable=False)

    async def match(self, batch: EventBatch, keys_of: KeysOf) -> int:
        """See `EventBus`."""
        tenant, sent = batch.tenant, 0
        if not batch.events:
            return await self._serve_look_backs(tenant, keys_of)
        known = self._shapes.get(tenant, _NO_SHAPES)
        events = _keyed(batch, keys_of, known.shapes)
        while True:
            kept = Kept(self._events.kept_for_sinks, self._retained_since())
            # The version belongs to these keys. Another call may learn other shapes meanwhile.
            work = partial(match_piece, tenant=tenant, version=known.version, events=events, kept=kept)
            result: Piece | KnownShapes | None = await self._database.write(work, durable=False)
            if result is None:
                sent += await self._serve_look_backs(tenant, keys_of)
                continue
            if isinstance(result, KnownShapes):
                self._shapes[tenant] = known = result
                events = _keyed(batch, keys_of, known.shapes)
                continue
            sent += result.sent
            for dropped in result.dropped:
                log_dropped(dropped.sink, tenant, dropped.events)
            if result.complete:
                break
        return sent

    async def published_events(
        self, tenant: str, *, after: str | None = None, limit: int = 100
    ) -> list[PublishedEvent]:
        """See `EventBus`."""
        position = () if after is None else (_number(after),)
        query, parameters = AFTER if position else _NEWEST, (tenant, *position, limit)
        rows = await self._database.read(
            lambda transaction: transaction.execute(query, parameters).fetchall()
        )
        return [published(*row) for row in sorted(rows)]

    async def published_event(self, tenant: str, position: str) -> PublishedEvent | None:
        """See `EventBus`."""
        parameters = (tenant, _number(position))
        row = await self._database.read(lambda transaction: transaction.execute(_AT, parameters).fetchone())
        return None if row is None else published(*row)

    async def accepted_by(self, tenant: str, event: CloudEvent) -> list[str]:
        """See `EventBus`."""
        return await self._database.read(partial(acceptances.accepted_by, tenant=tenant, event=event))

    async def listening(self, tenant: str, limit: int, keys: Sequence[str] | None = None) -> list[str]:
        """See `EventBus`."""
        work = partial(listeners.listening, tenant=tenant, limit=limit, keys=keys)
        return await self._database.read(work)

    async def shapes(self, tenant: str) -> Shapes:
        """See `EventBus`."""
        return await self._database.read(partial(listeners.shapes, tenant=tenant))

    async def wait_for_events(self, tenant: str, after: str | None, seconds: float) -> None:
        """See `EventBus`."""
        parameters = (tenant, _number(after or BEFORE_ALL))

        def is_newer(transaction: Transaction) -> bool:
            query = "SELECT 1 FROM buses WHERE tenant = ? AND newest > ?"
            return transaction.execute(query, parameters).fetchone() is not None

        await self._database.poll_until_found(
            lambda: self._database.read(is_newer), frozenset({EVENTS}), seconds
        )

    async def _serve_look_backs(self, tenant: str, keys_of: KeysOf) -> int:
        """Offers retained events to the runs of a tenant that look back."""
        sent = 0
        while pages := await self._database.read(partial(look_backs.pages, tenant=tenant)):
            for page in pages:
                messages = look_backs.offered(page, keys_of)
                work = partial(look_backs.offer, page=page, messages=messages)
                sent += await self._database.write(work, durable=False)
        return sent

    def _retained_since(self) -> int:
        """Events published at this time or later are retained."""
        if not self._events.retention_seconds:
            return _NEVER  # also if the clock was put back
        return self._database.clock.now() - int(self._events.retention_seconds * 1000)

    def _take_events(self, transaction: Transaction, owner: str, limit: int) -> EventBatch | None:
        looking = transaction.execute(_ANY_LOOK_BACK).fetchone()
        if looking is not None:
            return EventBatch(looking[0], (), str(looking[1]))
        live = live_parameters(self._database.monotonic(), self._database.outages)
        bus = transaction.execute(_NEXT_BUS, (owner, *live, self._served_last)).fetchone()
        if bus is None:
            return None
        tenant, matched = bus
        self._served_last = tenant
        transaction.execute(_HOLD, (owner, tenant))
        rows = transaction.execute(AFTER, (tenant, matched, limit)).fetchall()
        return EventBatch(tenant, tuple(published(*row) for row in rows), str(matched))


def _keyed(batch: EventBatch, keys_of: KeysOf, shapes: tuple[str, ...]) -> list[Keyed]:
    return [
        Keyed(
            int(position),
            orjson.dumps(event),
            sorted({*keys_of(shapes, event)}) if shapes else [],
        )
        for position, event, _ in batch.events
    ]


def _number(position: str) -> int:
    if not _POSITION.fullmatch(position):
        raise ValueError("not a position on a bus of this store")
    return int(position)
