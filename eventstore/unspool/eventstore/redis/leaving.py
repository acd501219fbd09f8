"""Taking a consumer out of its groups without losing what it holds."""

from typing import Final

from unspool.eventstore.records import Consumer
from unspool.eventstore.redis import scripts
from unspool.eventstore.redis.session import Session
from unspool.eventstore.redis.streams import streams_of

_BATCH: Final = 100


async def hand_back(session: Session, consumer: Consumer) -> None:
    """Delivers to others what a consumer holds, and takes it out of its groups."""
    shards = session.keys.all_shards(await session.tenants(fresh=True))
    names = streams_of(consumer, shards).names
    while names and await session.run(scripts.LEAVE, names, (consumer.role, consumer.name, _BATCH)) == _BATCH:
        pass
