"""Who accepted a published event, and who listens: read from all shards for each request."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

from unspool.eventstore.cloud_events import digest_of
from unspool.eventstore.event_bus import KEPT_ACCEPTANCES
from unspool.eventstore.published_events import CloudEvent, Shapes
from unspool.eventstore.redis.positions import place_of
from unspool.eventstore.redis.session import Session

_SCANNED: Final = 100
"""Subscriptions of a shard in one read, about."""


async def accepted_by(session: Session, tenant: str, event: CloudEvent) -> list[str]:
    """The executions that accepted an event, the first one first."""
    digest = digest_of(event)
    pages = await asyncio.gather(
        *(
            session.call("XREVRANGE", shard.acceptances, "+", "-", "COUNT", KEPT_ACCEPTANCES)
            for shard in session.keys.tenant(tenant).shards
        )
    )
    found = sorted(
        (place_of(id_.decode()), member[: -len(digest) - 1].decode())
        for page in pages
        for id_, [_, member] in page
        if member.endswith(digest)
    )
    return _distinct(execution for _, execution in found)


async def listening(session: Session, tenant: str, limit: int) -> list[str]:
    """Executions that have a subscription, at most `limit`."""
    shards = session.keys.tenant(tenant).shards
    pages = await asyncio.gather(
        *(session.call("HSCAN", shard.subscriptions, 0, "COUNT", _SCANNED) for shard in shards)
    )
    return _distinct(_execution(run) for _, fields in pages for run in fields[::2])[:limit]


async def listening_for(session: Session, tenant: str, keys: Sequence[str], limit: int) -> list[str]:
    """Executions that have a subscription with one of these keys, at most `limit`."""
    shards = session.keys.tenant(tenant).shards
    pages = await asyncio.gather(
        *(
            session.call("ZRANGEBYLEX", shard.subscribers, f"[{key} ", f"({key}!", "LIMIT", 0, limit)
            for shard in shards
            for key in keys
        )
    )
    return _distinct(_execution(member.partition(b" ")[2]) for page in pages for member in page)[:limit]


async def shapes(session: Session, tenant: str) -> Shapes:
    """The shapes that open subscriptions have."""
    shards = session.keys.tenant(tenant).shards
    pages = await asyncio.gather(*(session.call("HKEYS", shard.shapes) for shard in shards))
    return tuple(sorted({shape.decode() for page in pages for shape in page}))


def _execution(run: bytes) -> str:
    """The execution of a member `<execution> <run>`."""
    return run.partition(b" ")[0].decode()


def _distinct(executions: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(executions))
