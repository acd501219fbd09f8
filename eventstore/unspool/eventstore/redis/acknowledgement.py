"""Acknowledging and releasing deliveries."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from unspool.eventstore.consumers import EXECUTORS, WORKERS
from unspool.eventstore.records import Delivery, Message, MessageKind, TaskRequest
from unspool.eventstore.redis import scripts
from unspool.eventstore.redis.session import Session
from unspool.eventstore.redis.socket_connection import Argument
from unspool.eventstore.redis.subscriptions import place_in_order


def group_of(delivery: Delivery[Any]) -> str:
    """The consumer group of a delivery."""
    return EXECUTORS if isinstance(delivery.body, TaskRequest) else WORKERS


async def acknowledge(session: Session, deliveries: Sequence[Delivery[Any]]) -> None:
    """Removes deliveries."""
    await asyncio.gather(*(_acknowledge(session, some) for some in by_source(deliveries).values()))


async def _acknowledge(session: Session, some: Sequence[Delivery[Any]]) -> None:
    names = (some[0].source, session.keys.shard(some[0].key).event_order)
    values: tuple[Argument, ...] = (
        group_of(some[0]),
        len(some),
        *(d.id for d in some),
        *places_in_order(some),
    )
    await session.run(scripts.ACKNOWLEDGE, names, values)


def places_in_order(deliveries: Sequence[Delivery[Any]]) -> list[str]:
    """The places of the `event` messages among these deliveries in the order of such messages."""
    bodies = (delivery.body for delivery in deliveries)
    return [
        place_in_order(body)
        for body in bodies
        if isinstance(body, Message) and body.kind is MessageKind.EVENT
    ]


async def release(session: Session, deliveries: Sequence[Delivery[Any]]) -> None:
    """Returns deliveries to their streams; this attempt is not counted."""
    await asyncio.gather(*(_release(session, some) for some in by_source(deliveries).values()))
    for role in {group_of(delivery) for delivery in deliveries}:
        session.announce(role, {session.keys.shard(d.key) for d in deliveries if group_of(d) == role})


async def give_back(session: Session, deliveries: Sequence[Delivery[Message]]) -> list[Delivery[Message]]:
    """Returns messages to their streams, if no other message waits there. Returns the others.

    A message that returns is the last one of its stream.
    """
    sources = by_source(deliveries).values()
    returned = await asyncio.gather(*(_release(session, some, in_order=True) for some in sources))
    changed = {
        session.keys.shard(d.key) for some, done in zip(sources, returned, strict=True) if done for d in some
    }
    session.announce(WORKERS, changed)
    return [d for some, done in zip(sources, returned, strict=True) if not done for d in some]


async def _release(session: Session, some: Sequence[Delivery[Any]], *, in_order: bool = False) -> bool:
    """Releases deliveries of one stream. Returns False if it had to refuse."""
    values = [value for d in some for value in (d.id, d.attempts)]
    released: int = await session.run(
        scripts.RELEASE, (some[0].source,), (group_of(some[0]), int(in_order), *values)
    )
    return released >= 0


def by_source(deliveries: Sequence[Delivery[Any]]) -> dict[str, list[Delivery[Any]]]:
    """Deliveries by source stream, in their order."""
    sources: defaultdict[str, list[Delivery[Any]]] = defaultdict(list)
    for delivery in deliveries:
        sources[delivery.source].append(delivery)
    return sources
