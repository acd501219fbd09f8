"""Removing a consumer from its groups without losing its pending deliveries."""

from typing import Final

from unspool.eventstore.consumers import Consumer
from unspool.eventstore.redis import scripts
from unspool.eventstore.redis.keys import Shard
from unspool.eventstore.redis.members import Members
from unspool.eventstore.redis.session import Session
from unspool.eventstore.redis.streams import streams_of

_BATCH: Final = 100
_STREAMS_A_CALL: Final = 512
"""Streams in one call, at most. Redis serves other clients between two calls."""


async def deregister(session: Session, consumer: Consumer, members: Members) -> None:
    """Adds a consumer's pending entries again for others, and removes it from its groups and the members."""
    streams = streams_of(consumer, session.keys.all_shards(await session.tenants(fresh=True)))
    changed: set[Shard] = set()
    for at in range(0, len(streams.names), _STREAMS_A_CALL):
        names = streams.names[at : at + _STREAMS_A_CALL]
        count = _BATCH
        while count == _BATCH:
            values = (consumer.role, consumer.name, _BATCH)
            count, numbers = await session.run(scripts.DEREGISTER, names, values)
            changed.update(streams.shards[at + number - 1] for number in numbers)
    await members.remove(consumer.name)
    # After the removal: readers take only from shards that they prefer, and these depend on the members.
    session.announce(consumer.role, changed, member_left=True)
