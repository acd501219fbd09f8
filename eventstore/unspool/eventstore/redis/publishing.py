"""Appends events to the bus of a tenant."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

from unspool.eventstore.cloud_events import digest_of
from unspool.eventstore.published_events import CloudEvent, PublishedEvent
from unspool.eventstore.redis import keys, scripts
from unspool.eventstore.redis.session import Session
from unspool.eventstore.redis.socket_connection import Argument


class OutboxEvent(NamedTuple):
    """An event of an outbox entry."""

    entry: bytes
    """The id of the entry."""
    event: CloudEvent


async def publish(session: Session, tenant: str, events: Sequence[CloudEvent]) -> int:
    """Publishes events; returns how many, without those that were published lately."""
    return await _publish(session, tenant, "", [OutboxEvent(b"", event) for event in events])


async def publish_outgoing(session: Session, tenant: str, outbox: str, events: Sequence[OutboxEvent]) -> None:
    """Publishes events of outbox entries, unless it was done before.

    Args:
        session: of the store.
        tenant: the tenant of the bus.
        outbox: the topic of the shard with the outbox.
        events: all events of the outbox that may be not yet published, up to the last entry.
    """
    await _publish(session, tenant, outbox, events)


async def _publish(session: Session, tenant: str, outbox: str, events: Sequence[OutboxEvent]) -> int:
    bus = session.keys.tenant(tenant).bus
    window = int(session.events.deduplication_seconds * 1000)
    values: list[Argument] = [outbox, window, keys.PUBLISHED_CHANNEL, tenant]
    for entry, event in events:
        values += (entry, digest_of(event), orjson.dumps(event))
    count: int = await session.run(scripts.PUBLISH, (bus.events, bus.ids, bus.delivered, bus.state), values)
    return count


def published(entries: Sequence[Any]) -> list[PublishedEvent]:
    """The events of entries of a bus. The id of an entry begins with the time."""
    return [
        PublishedEvent(id_.decode(), orjson.loads(fields[1]), int(id_.partition(b"-")[0]))
        for id_, fields in entries
    ]
