"""Appends events to the bus of a tenant, and reads its rows."""

from collections.abc import Callable, Sequence
from typing import Final

import orjson

from unspool.eventstore.clock import Clock
from unspool.eventstore.cloud_events import digest_of
from unspool.eventstore.event_settings import EventSettings
from unspool.eventstore.published_events import CloudEvent, PublishedEvent
from unspool.eventstore.sqlite.connection_thread import Transaction
from unspool.eventstore.sqlite.notifications import EVENTS

_FORGET: Final = "DELETE FROM bus_ids WHERE published_at <= ?"
_REMEMBER: Final = (
    "INSERT INTO bus_ids (tenant, digest, published_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
)
_APPEND: Final = "INSERT INTO bus_events (tenant, event, published_at) VALUES (?, ?, ?)"
_ADVANCE: Final = (
    "INSERT INTO buses (tenant, newest) VALUES (?, ?) ON CONFLICT DO UPDATE SET newest = excluded.newest"
)


class Publisher:
    """Prepares publications; each is applied in a transaction."""

    def __init__(self, settings: EventSettings, clock: Clock) -> None:
        self._window = int(settings.deduplication_seconds * 1000)
        self._clock = clock

    def prepared(self, tenant: str, events: Sequence[CloudEvent]) -> Callable[[Transaction], int]:
        """A publication of events; it returns how many were appended."""
        rows = [(digest_of(event), orjson.dumps(event)) for event in events]

        def publish(transaction: Transaction) -> int:
            now = self._clock.now()
            transaction.execute(_FORGET, (now - self._window,))
            newest, count = 0, 0
            for digest, event in rows:
                if self._window and not transaction.execute(_REMEMBER, (tenant, digest, now)).rowcount:
                    continue
                newest = transaction.execute(_APPEND, (tenant, event, now)).lastrowid or 0
                count += 1
            if count:
                transaction.execute(_ADVANCE, (tenant, newest))
                transaction.topics.add(EVENTS)
            return count

        return publish


def published(position: int, event: bytes, published_at: int) -> PublishedEvent:
    """An event of a row of the bus."""
    return PublishedEvent(str(position), orjson.loads(event), published_at)
