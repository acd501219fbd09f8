"""The streams a consumer reads."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from unspool.eventstore.consumers import WORKERS, Consumer
from unspool.eventstore.redis.keys import Shard
from unspool.eventstore.redis.session import Session

Entry = tuple[bytes, bytes, int]
"""An entry of a stream: its id, its value, the number of this delivery."""


class Streams(NamedTuple):
    """Streams of several shards, in the form that the scripts take."""

    names: tuple[str, ...]
    shards: tuple[Shard, ...]
    """The shard of each stream."""
    cancelled: tuple[str, ...]
    """The sets of cancelled runs, one for each `per_set` streams; none for inboxes."""
    per_set: int


NO_STREAMS: Final = Streams((), (), (), 0)


def inboxes(shards: Sequence[Shard]) -> Streams:
    """The inboxes of some shards."""
    return Streams(tuple(shard.inbox for shard in shards), tuple(shards), (), 0)


def queues(shards: Sequence[Shard], names: Sequence[str]) -> Streams:
    """The task queues of these names in some shards."""
    return Streams(
        names=tuple(shard.tasks(name) for shard in shards for name in names),
        shards=tuple(shard for shard in shards for _ in names),
        cancelled=tuple(shard.cancelled for shard in shards) if names else (),
        per_set=len(names),
    )


def without(tenants: frozenset[str], shards: Sequence[Shard]) -> Sequence[Shard]:
    """The shards of other tenants."""
    return [shard for shard in shards if shard.tenant not in tenants] if tenants else shards


def streams_of(
    consumer: Consumer, shards: Sequence[Shard], without_queues: frozenset[str] = frozenset()
) -> Streams:
    """The streams of some shards that a consumer may read, by its role."""
    if consumer.role == WORKERS:
        return inboxes(shards)
    return queues(shards, sorted(consumer.queues - without_queues))


async def make_groups(session: Session, role: str, names: Sequence[str]) -> None:
    """Creates the consumer group of a role for streams; a group that exists is left as it is."""
    # From 0: entries added before the group existed are delivered too.
    made = await asyncio.gather(
        *(session.call("XGROUP", "CREATE", name, role, "0", "MKSTREAM") for name in names),
        return_exceptions=True,
    )
    for outcome in made:
        if isinstance(outcome, BaseException) and "BUSYGROUP" not in str(outcome):
            raise outcome


def triples(flat: list[Any]) -> Iterator[tuple[int, Any, int]]:
    """The entries in a reply of `drain` or `reclaim`: number of the stream, entry, earlier deliveries."""
    return zip(flat[::3], flat[1::3], flat[2::3], strict=True)


def delivered(entry: Any, times: int = 1) -> Entry:
    """An entry as Redis returns it, with the deliveries since it was added, which a release does again."""
    id_, fields = entry
    before = int(fields[3]) if len(fields) > 2 else 0  # deliveries before it was released
    return id_, fields[1], before + times
