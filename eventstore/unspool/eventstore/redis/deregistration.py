"""Removing a consumer from its groups without losing its pending deliveries."""

from typing import Final

from unspool.eventstore.records import Consumer
from unspool.eventstore.redis import scripts
from unspool.eventstore.redis.session import Session
from unspool.eventstore.redis.streams import streams_of

_BATCH: Final = 100


async def deregister(session: Session, consumer: Consumer) -> None:
    """Adds a consumer's pending entries again for other consumers, and removes it from its groups."""
    shards = session.keys.all_shards(await session.tenants(fresh=True))
    names = streams_of(consumer, shards).names
    while (
        names
        and await session.run(scripts.DEREGISTER, names, (consumer.role, consumer.name, _BATCH)) == _BATCH
    ):
        pass
