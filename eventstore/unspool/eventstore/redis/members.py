"""The consumers of a role, their liveness, and which worker prefers which shards."""

import hashlib
import math
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from unspool.eventstore.consumers import Consumer, Load
from unspool.eventstore.port import CONSUMER_TIMEOUT_SECONDS, HEARTBEAT_SECONDS
from unspool.eventstore.redis import keys, scripts
from unspool.eventstore.redis.heartbeats import Heartbeat, heartbeat_of
from unspool.eventstore.redis.keys import Shard
from unspool.eventstore.redis.session import Session

_LONGEST_REFRESH_GAP: Final = 2 * HEARTBEAT_SECONDS


class _Seen(NamedTuple):
    """The last heartbeat seen of a member."""

    stored: bytes
    heartbeat: Heartbeat
    changed_at: float
    """On this process's monotonic clock: the clocks of Redis and other machines may jump."""


class Members:
    """The consumers of a role, as this process observes them."""

    def __init__(self, session: Session, role: str) -> None:
        self._session = session
        self._role = role
        self._key = keys.members(role)
        self._seen: dict[str, _Seen] = {}
        self._refreshed_at = -math.inf
        self._heartbeat_at = -math.inf
        self._outdated = False

    async def refresh(self) -> None:
        """Reads the heartbeats, at most every half `HEARTBEAT_SECONDS`.

        After a gap without reads, for example because Redis was unavailable, all members count as alive: they
        may have been unable to send heartbeats. Otherwise live members would take over each other's tasks
        after a pause of Redis.
        """
        if not self._outdated and self._session.monotonic() - self._refreshed_at < HEARTBEAT_SECONDS / 2:
            return
        self._outdated = False
        reply: list[bytes] = await self._session.call("HGETALL", self._key)
        now = self._session.monotonic()
        known = self._seen if now - self._refreshed_at <= _LONGEST_REFRESH_GAP else {}
        seen: dict[str, _Seen] = {}
        for name, stored in zip(reply[::2], reply[1::2], strict=True):
            before = known.get(name.decode())
            if before is None or before.stored != stored:
                before = _Seen(stored, heartbeat_of(stored), now)
            seen[name.decode()] = before
        self._seen = seen
        self._refreshed_at = now

    def expire(self) -> None:
        """Makes the next `refresh` read again."""
        self._outdated = True

    async def heartbeat(self, name: str, heartbeat: bytes) -> None:
        """Writes a heartbeat of a member."""
        await self._session.run(scripts.HEARTBEAT, (self._key,), (name, heartbeat))
        self._heartbeat_at = self._session.monotonic()

    async def remove(self, name: str) -> None:
        """Removes a member."""
        await self._session.call("HDEL", self._key, name)

    def live(self) -> dict[str, Heartbeat]:
        """The members whose heartbeat changed lately, with their last heartbeat."""
        return {name: seen.heartbeat for name, seen in self._seen.items() if not self._silent(seen)}

    def free(self, queues: frozenset[str] = frozenset()) -> frozenset[str]:
        """The live members with these queues that were free at their last heartbeat."""
        return frozenset(
            name
            for name, heartbeat in self.live().items()
            if heartbeat.load is Load.FREE and queues.issubset(heartbeat.queues)
        )

    def owners(self, name: str) -> frozenset[str]:
        """The members that own shards, as the member of this name sees them.

        A full one, or one that lacks a key, owns none while another is free. New messages then do not wait
        until the free one looks at the shards of others.
        """
        live = self.live()
        full = {
            other
            for other, heartbeat in live.items()
            if heartbeat.load is Load.FULL or heartbeat.keys.missing
        }
        members = frozenset({name, *live})
        return members - full if full and self.free() else members

    def gone(self) -> list[Consumer]:
        """The members without a heartbeat for `CONSUMER_TIMEOUT_SECONDS`.

        Empty if this process has sent no heartbeat for that time either: others may have the same problem.
        """
        if self._session.monotonic() - self._heartbeat_at >= CONSUMER_TIMEOUT_SECONDS:
            return []
        return [
            Consumer(self._role, name, frozenset(seen.heartbeat.queues))
            for name, seen in self._seen.items()
            if self._silent(seen)
        ]

    def _silent(self, seen: _Seen) -> bool:
        return self._session.monotonic() - seen.changed_at >= CONSUMER_TIMEOUT_SECONDS


def shards_of(member: str, shards: Sequence[Shard], members: Collection[str]) -> list[Shard]:
    """The shards that a member prefers (rendezvous hashing: a change of members moves few shards)."""
    return [shard for shard in shards if _owner(shard, members) == member]


def _owner(shard: Shard, members: Collection[str]) -> str:
    return max(members, key=lambda name: _weight(name, shard))


def _weight(member: str, shard: Shard) -> bytes:
    text = f"{shard.tenant}:{shard.number}:{member}"
    return hashlib.blake2b(text.encode(), digest_size=8).digest()
