"""Who takes deliveries, who of them lives, and which shards each worker looks after."""

import hashlib
import math
import os
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

import orjson

from unspool.eventstore.port import CONSUMER_TIMEOUT_SECONDS, HEARTBEAT_SECONDS
from unspool.eventstore.records import Consumer
from unspool.eventstore.redis import keys, scripts
from unspool.eventstore.redis.keys import Shard
from unspool.eventstore.redis.session import Session

_LONGEST_LOOK_AWAY: Final = 2 * HEARTBEAT_SECONDS


class _Seen(NamedTuple):
    """The last beat seen of a member."""

    beat: bytes
    changed_at: float
    """On our own monotonic clock: clocks of other machines, and Redis's, may jump."""


class Members:
    """The consumers of a role, as this process sees them."""

    def __init__(self, session: Session, role: str) -> None:
        self._session = session
        self._role = role
        self._key = keys.members(role)
        self._seen: dict[str, _Seen] = {}
        self._looked_at = -math.inf
        self._beaten_at = -math.inf

    async def look(self) -> None:
        """Learns of new beats, unless it did so a moment ago.

        Who has not looked for a while, perhaps because Redis was away, knows of nobody whether he beat
        meanwhile, or could have: then everybody's silence begins anew. Else a pause of Redis would have the
        living take each other's tasks.
        """
        if self._session.monotonic() - self._looked_at < HEARTBEAT_SECONDS / 2:
            return
        reply: list[bytes] = await self._session.call("HGETALL", self._key)
        now = self._session.monotonic()
        known = self._seen if now - self._looked_at <= _LONGEST_LOOK_AWAY else {}
        seen: dict[str, _Seen] = {}
        for name, beat in zip(reply[::2], reply[1::2], strict=True):
            before = known.get(name.decode())
            seen[name.decode()] = before if before and before.beat == beat else _Seen(beat, now)
        self._seen = seen
        self._looked_at = now

    async def heartbeat(self, name: str, beat: bytes) -> None:
        """Shows that a member lives."""
        await self._session.run(scripts.BEAT, (self._key,), (name, beat))
        self._beaten_at = self._session.monotonic()

    async def remove(self, name: str) -> None:
        """Forgets a member."""
        await self._session.call("HDEL", self._key, name)

    def live(self) -> dict[str, bytes]:
        """Those whose beat changed lately, with their last beat."""
        return {name: seen.beat for name, seen in self._seen.items() if not self._silent(seen)}

    def gone(self) -> list[Consumer]:
        """Those that have been silent for `CONSUMER_TIMEOUT_SECONDS`.

        Nobody, if we have been silent as long ourselves: what keeps us from beating may keep them.
        """
        if self._session.monotonic() - self._beaten_at >= CONSUMER_TIMEOUT_SECONDS:
            return []
        return [
            Consumer(self._role, name, frozenset(queues_in(seen.beat)))
            for name, seen in self._seen.items()
            if self._silent(seen)
        ]

    def _silent(self, seen: _Seen) -> bool:
        return self._session.monotonic() - seen.changed_at >= CONSUMER_TIMEOUT_SECONDS


class Pulse:
    """Makes the beats of one consumer; each differs from all before, an earlier process's too."""

    def __init__(self, consumer: Consumer) -> None:
        self._process = os.urandom(6).hex()
        self._count = 0
        self._queues = sorted(consumer.queues)

    def next(self) -> bytes:
        """The next beat."""
        self._count += 1
        return orjson.dumps([f"{self._process}-{self._count}", self._queues])


def queues_in(beat: bytes) -> list[str]:
    """The queues that whoever made this beat serves."""
    queues: list[str] = orjson.loads(beat)[1]
    return queues


def shards_of(member: str, shards: Sequence[Shard], members: Collection[str]) -> list[Shard]:
    """The shards that fall to a member (rendezvous hashing: each change of members moves few shards)."""
    return [shard for shard in shards if _owner(shard, members) == member]


def _owner(shard: Shard, members: Collection[str]) -> str:
    return max(members, key=lambda name: _weight(name, shard))


def _weight(member: str, shard: Shard) -> bytes:
    text = f"{shard.tenant}:{shard.number}:{member}"
    return hashlib.blake2b(text.encode(), digest_size=8).digest()
