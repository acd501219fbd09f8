"""The outbox of a shard: outgoing starts and messages, for any shard of the tenant, and events, for its bus.

`commit.lua` adds one entry for a commit. The process that committed delivers it at once and deletes it.
If that process ends before, `deliver_left` of any other process delivers the entry.

Several processes may deliver the same outbox at the same time, without a lock. Each begins with the oldest
entry in the outbox. The script that applies the entries (`deliver.lua`, `publish.lua`) also stores, in the
target shard or bus, the last entry from each outbox. So each entry is applied once, and in order.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Sequence
from math import ceil
from typing import Final, NamedTuple

from unspool.eventstore.consumers import WORKERS
from unspool.eventstore.records import ExecutionKey, Outgoing, PublishEvent, SendMessage, StartExecution
from unspool.eventstore.redis import scripts
from unspool.eventstore.redis.codec import Unreadable, decode_outgoing, encode_message
from unspool.eventstore.redis.keys import Shard
from unspool.eventstore.redis.publishing import OutboxEvent, publish_outgoing
from unspool.eventstore.redis.session import Session, log
from unspool.eventstore.redis.socket_connection import Argument
from unspool.eventstore.redis.starts import prepared, shared_keys

_PAGE: Final = 64
"""Entries in one delivery."""

_SHARDS_A_CALL: Final = 64
"""Outboxes whose length `deliver_left` reads at once."""

_CHECK_ALL_SECONDS: Final = 10.0
"""Each process checks each outbox at least once in this time."""

Entry = tuple[bytes, Sequence[Outgoing]]
"""The id and the content of an outbox entry."""


class _Item(NamedTuple):
    """A start or message for `deliver.lua`."""

    names: tuple[str, ...]
    values: tuple[Argument, ...]


class Outbox:
    """Delivers the outboxes of a store."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._delivering: dict[Shard, asyncio.Lock] = {}
        self._next_shard = 0
        self._checked_at: float | None = None

    async def deliver(self, shard: Shard, entries: Sequence[Entry]) -> None:
        """Delivers entries and deletes them. The outbox must not have an older entry."""
        if not entries:
            return
        targets: defaultdict[Shard, list[_Item]] = defaultdict(list)
        published: list[OutboxEvent] = []
        for id_, outgoing in entries:
            for each in outgoing:
                if isinstance(each, PublishEvent):
                    published.append(OutboxEvent(id_, each.event))
                else:
                    target, item = self._item(shard.tenant, id_, each)
                    targets[target].append(item)
        deliveries = [self._deliver(shard, target, items) for target, items in targets.items()]
        if published:
            deliveries.append(publish_outgoing(self._session, shard.tenant, shard.topic, published))
        await asyncio.gather(*deliveries)
        self._session.post("XDEL", shard.outbox, *(id_ for id_, _ in entries))

    async def drain(self, shard: Shard) -> int:
        """Delivers all entries of an outbox, the oldest first. Returns how many entries it delivered."""
        count = 0
        async with self._delivering.setdefault(shard, asyncio.Lock()):
            while entries := await self._oldest(shard):
                await self.deliver(shard, entries)
                count += len(entries)
        return count

    async def deliver_left(self) -> int:
        """Delivers the entries of some outboxes. Several calls check all outboxes in turn."""
        shards = self._session.keys.all_shards(await self._session.tenants())
        now = self._session.monotonic()
        elapsed = _CHECK_ALL_SECONDS if self._checked_at is None else now - self._checked_at
        share = max(_SHARDS_A_CALL, ceil(len(shards) * min(1.0, elapsed / _CHECK_ALL_SECONDS)))
        self._checked_at, first = now, self._next_shard % len(shards)
        self._next_shard = first + share
        some = (shards[first:] + shards[:first])[:share]
        count = 0
        for at in range(0, len(some), _SHARDS_A_CALL):
            count += await self._deliver_left(some[at : at + _SHARDS_A_CALL])
        return count

    async def _deliver_left(self, shards: Sequence[Shard]) -> int:
        lengths = await asyncio.gather(*(self._session.call("XLEN", shard.outbox) for shard in shards))
        filled = [shard for shard, length in zip(shards, lengths, strict=True) if length]
        return sum([await self.drain(shard) for shard in filled])

    async def _oldest(self, shard: Shard) -> list[Entry]:
        page = await self._session.call("XRANGE", shard.outbox, "-", "+", "COUNT", _PAGE)
        return list(_readable(shard, page))

    async def _deliver(self, source: Shard, target: Shard, items: Sequence[_Item]) -> None:
        names = [target.delivered, *shared_keys(target)]
        values: list[Argument] = [source.topic]
        for item in items:
            names += item.names
            values += item.values
        await self._session.run(scripts.DELIVER, names, values)
        self._session.announce(WORKERS, (target,))

    def _item(self, tenant: str, entry: bytes, outgoing: StartExecution | SendMessage) -> tuple[Shard, _Item]:
        """The target shard of a start or message, and the item for `deliver.lua`."""
        if not isinstance(outgoing, StartExecution):
            message = outgoing.message
            shard = self._session.keys.shard_of(tenant, message.execution)
            values: tuple[Argument, ...] = (entry, "", "", "", "", encode_message(message), "", "", "", 1)
            return shard, _Item((shard.execution(message.execution),), values)
        shard = self._session.keys.shard(ExecutionKey(tenant, outgoing.start.key.id))
        names, start_values = prepared(shard, outgoing.start)
        return shard, _Item(names, (entry, *start_values))


def _readable(shard: Shard, page: Sequence[tuple[bytes, Sequence[bytes]]]) -> Iterator[Entry]:
    """Decodes entries up to the first that only a newer release can read; that one stays in the outbox."""
    for id_, fields in page:
        try:
            yield id_, decode_outgoing(shard.tenant, fields[1])
        except Unreadable as error:
            log.error(
                "entry %s of %s cannot be delivered: %s", id_.decode(), shard.outbox, error,
                extra={"action": "outbox_unreadable"},
            )  # fmt: skip
            return
