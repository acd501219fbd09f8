"""Acknowledging and releasing deliveries."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from unspool.eventstore.records import EXECUTORS, WORKERS, Delivery, TaskRequest
from unspool.eventstore.redis import scripts
from unspool.eventstore.redis.session import Session


def group_of(delivery: Delivery[Any]) -> str:
    """The consumer group of a delivery."""
    return EXECUTORS if isinstance(delivery.body, TaskRequest) else WORKERS


async def acknowledge(session: Session, deliveries: Sequence[Delivery[Any]]) -> None:
    """Removes deliveries."""
    await asyncio.gather(
        *(
            session.run(scripts.ACKNOWLEDGE, (source,), (group_of(some[0]), *(d.id for d in some)))
            for source, some in by_source(deliveries).items()
        )
    )


async def release(session: Session, deliveries: Sequence[Delivery[Any]]) -> None:
    """Returns deliveries to their streams; this attempt is not counted."""
    await asyncio.gather(
        *(
            session.run(
                scripts.RELEASE,
                (source,),
                (group_of(some[0]), *(value for d in some for value in (d.id, d.attempts))),
            )
            for source, some in by_source(deliveries).items()
        )
    )
    for role in {group_of(delivery) for delivery in deliveries}:
        session.announce(role, {session.keys.shard(d.key) for d in deliveries if group_of(d) == role})


def by_source(deliveries: Sequence[Delivery[Any]]) -> dict[str, list[Delivery[Any]]]:
    """Deliveries by source stream, in their order."""
    sources: defaultdict[str, list[Delivery[Any]]] = defaultdict(list)
    for delivery in deliveries:
        sources[delivery.source].append(delivery)
    return sources
