"""Published events, with encrypted payloads.

A process without the key cannot match or send an event: it lets the events go, for another process. An event
that was damaged keeps only its clear attributes, so that those behind it do not wait.
"""

import logging
from collections.abc import Sequence

from unspool.eventstore.consumers import Consumer
from unspool.eventstore.encryption.missing_keys import MissingKeys
from unspool.eventstore.encryption.payloads import SEALED, Payloads
from unspool.eventstore.errors import DamagedPayload, KeyMissing
from unspool.eventstore.port import EventStore
from unspool.eventstore.published_events import CloudEvent, EventBatch, KeysOf, PublishedEvent, Shapes
from unspool.eventstore.sinks import SinkProgress

log = logging.getLogger(__name__)


class EncryptedBuses:
    """The port's `EventBus`, and the events of `EventSinks`."""

    _inner: EventStore
    _payloads: Payloads
    _missing: MissingKeys

    async def publish(self, tenant: str, events: Sequence[CloudEvent]) -> int:
        """See `EventBus`."""
        if self._payloads.encrypts:
            events = [self._payloads.seal_published(tenant, event) for event in events]
        return await self._inner.publish(tenant, events)

    async def receive_events(self, consumer: Consumer, limit: int, seconds: float) -> EventBatch | None:
        """See `EventBus`. Raises `KeyMissing` if the first event cannot be decrypted for lack of a key."""
        batch = await self._inner.receive_events(consumer, limit, seconds)
        if batch is None:
            return None
        try:
            return self._opened_batch(batch)
        except KeyMissing:
            await self._inner.let_go(consumer, batch.tenant)
            raise

    async def match(self, batch: EventBatch, keys_of: KeysOf) -> int:
        """See `EventBus`."""
        sealed = self._sealed_batch(batch) if self._payloads.encrypts else batch
        plain = {id(event.event): own.event for event, own in zip(sealed.events, batch.events, strict=True)}

        def keys_of_sealed(shapes: Shapes, event: CloudEvent) -> Sequence[str]:
            own = plain.get(id(event))
            return keys_of(shapes, self._opened_event(batch.tenant, event) if own is None else own)

        return await self._inner.match(sealed, keys_of_sealed)

    async def published_events(
        self, tenant: str, *, after: str | None = None, limit: int = 100
    ) -> list[PublishedEvent]:
        """See `EventBus`."""
        events = await self._inner.published_events(tenant, after=after, limit=limit)
        return [event._replace(event=self._opened_event(tenant, event.event)) for event in events]

    async def published_event(self, tenant: str, position: str) -> PublishedEvent | None:
        """See `EventBus`."""
        event = await self._inner.published_event(tenant, position)
        return None if event is None else event._replace(event=self._opened_event(tenant, event.event))

    async def receive_for_sink(
        self,
        consumer: Consumer,
        sink: str,
        limit: int,
        seconds: float,
        skip: frozenset[str] = frozenset(),
    ) -> EventBatch | None:
        """See `EventSinks`. Raises `KeyMissing` if the first event cannot be decrypted for lack of a key."""
        batch = await self._inner.receive_for_sink(consumer, sink, limit, seconds, skip)
        if batch is None:
            return None
        try:
            return self._opened_batch(batch)
        except KeyMissing:
            not_passed = SinkProgress(batch.tenant, batch.after, batch.after)
            await self._inner.record_progress(consumer, sink, not_passed)
            raise

    def _opened_batch(self, batch: EventBatch) -> EventBatch:
        """The events up to the first one whose key is missing."""
        events: list[PublishedEvent] = []
        for event in batch.events:
            try:
                events.append(event._replace(event=self._opened_event(batch.tenant, event.event)))
            except KeyMissing as error:
                self._missing.note(error)
                if not events:
                    raise
                break
        return batch._replace(events=tuple(events))

    def _opened_event(self, tenant: str, event: CloudEvent) -> CloudEvent:
        try:
            return self._payloads.opened_published(tenant, event)
        except DamagedPayload as error:
            log.error("a published event is damaged: %s", error, extra={"action": "payload_damaged"})  # noqa: TRY400
            return {name: value for name, value in event.items() if name != SEALED}

    def _sealed_batch(self, batch: EventBatch) -> EventBatch:
        seal = self._payloads.seal_published
        events = [event._replace(event=seal(batch.tenant, event.event)) for event in batch.events]
        return batch._replace(events=tuple(events))
