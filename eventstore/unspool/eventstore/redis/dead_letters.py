"""The dead letter queue: in each shard a stream of deliveries that failed too often.

The id of a dead letter is `<shard>-<id of its entry>`.
"""

import asyncio
import re
from typing import Any, Final, NamedTuple

from unspool.eventstore.consumers import EXECUTORS, WORKERS
from unspool.eventstore.dead_letters import DeadLetter, DeadLetterPage
from unspool.eventstore.errors import NotFound
from unspool.eventstore.records import Delivery, ExecutionKey, Message, TaskRequest
from unspool.eventstore.redis import scripts
from unspool.eventstore.redis.acknowledgement import group_of, places_in_order
from unspool.eventstore.redis.codec import decode_message, decode_task
from unspool.eventstore.redis.keys import Shard
from unspool.eventstore.redis.session import Session

_PAGE: Final = 200
_CURSOR: Final = re.compile(r"(\d{1,18})-(\d{1,6})-(\d{1,20})-(\d{1,20})", re.ASCII)
_ID: Final = re.compile(r"(\d{1,6})-(\d{1,20}-\d{1,20})", re.ASCII)


class _Stored(NamedTuple):
    """A dead letter as it is stored."""

    shard: Shard
    entry: str
    fields: dict[bytes, bytes]

    @property
    def id(self) -> str:
        return f"{self.shard.number}-{self.entry}"

    @property
    def time(self) -> int:
        """When it was added, microseconds since 1970, to order the entries of one millisecond."""
        return int(self.fields[b"time"])


class _Place(NamedTuple):
    """The sort key of a dead letter."""

    time: int
    shard: int
    entry: tuple[int, ...]


_BEFORE_ALL: Final = _Place(0, 0, ())


def _place(stored: _Stored) -> _Place:
    return _Place(stored.time, stored.shard.number, tuple(map(int, stored.entry.split("-"))))


def _cursor(stored: _Stored) -> str:
    return f"{stored.time}-{stored.id}"


def _place_of(cursor: str) -> _Place:
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        raise ValueError(f"not a cursor: {cursor!r}")
    time, shard, *entry = map(int, match.groups())
    return _Place(time, shard, tuple(entry))


class RedisDeadLetters:
    """The dead letters of the store."""

    _session: Session

    async def move_to_dead_letters(
        self, delivery: Delivery[Message] | Delivery[TaskRequest], error: str, traceback: str
    ) -> str:
        """See `DeadLetters`.

        Raises:
            NotFound: the delivery is no longer pending.
        """
        shard = self._session.keys.shard(delivery.key)
        names = [delivery.source, shard.dlq]
        if isinstance(delivery.body, TaskRequest):
            names += (shard.dlq_runs, shard.cancelled)
        else:
            names.append(shard.event_order)
        place = "".join(places_in_order([delivery]))
        values = (group_of(delivery), delivery.id, error, traceback, delivery.attempts, place)
        id_: bytes = await self._session.run(scripts.MOVE_TO_DEAD_LETTERS, names, values)
        if not id_:
            raise NotFound(f"the delivery {delivery.id} is no longer pending")
        return f"{shard.number}-{id_.decode()}"

    async def dead_letters(
        self, tenant: str, *, execution: str | None = None, limit: int = 100, cursor: str | None = None
    ) -> DeadLetterPage:
        """See `DeadLetters`."""
        after = _BEFORE_ALL if cursor is None else _place_of(cursor)
        shards = self._session.keys.tenant(tenant).shards
        if execution is not None:
            shards = (self._session.keys.shard(ExecutionKey(tenant, execution)),)
        found = await asyncio.gather(*(self._oldest(shard, execution, after, limit + 1) for shard in shards))
        letters = sorted((stored for some in found for stored in some), key=_place)
        more = len(letters) > limit
        page = letters[:limit]
        return DeadLetterPage(tuple(map(_dead_letter, page)), _cursor(page[-1]) if more else None)

    async def dead_letter(self, tenant: str, id: str) -> DeadLetter | None:  # noqa: A002 - the contract's name
        """See `DeadLetters`."""
        stored = await self._find(tenant, id)
        return None if stored is None else _dead_letter(stored)

    async def requeue(self, tenant: str, id: str) -> bool:  # noqa: A002 - the contract's name
        """See `DeadLetters`."""
        stored = await self._find(tenant, id)
        if stored is None:
            return False
        shard, fields = stored.shard, stored.fields
        names = [shard.dlq, fields[b"source"].decode()]
        body = _body(stored)
        if isinstance(body, TaskRequest):
            names += (shard.dlq_runs, shard.cancelled, shard.execution(body.execution))
        values = (stored.entry, fields[b"field"], fields[b"payload"], fields.get(b"tracked", b""))
        requeued = bool(await self._session.run(scripts.REQUEUE, names, values))
        self._session.announce(EXECUTORS if isinstance(body, TaskRequest) else WORKERS, (shard,))
        return requeued

    async def discard(self, tenant: str, id: str) -> bool:  # noqa: A002 - the contract's name
        """See `DeadLetters`."""
        stored = await self._find(tenant, id)
        if stored is None or not await self._session.call("XDEL", stored.shard.dlq, stored.entry):
            return False
        await self._session.call("HDEL", stored.shard.dlq_runs, stored.fields[b"field"])
        return True

    async def dead_letters_before(self, time: int, limit: int) -> list[DeadLetter]:
        """See `DeadLetters`."""
        found: list[DeadLetter] = []
        for shard in self._session.keys.all_shards(await self._session.tenants()):
            # The id of an entry begins with the time at which it was added.
            page = await self._session.call("XRANGE", shard.dlq, "-", f"({time}", "COUNT", limit - len(found))
            found += (_dead_letter(_stored(shard, entry)) for entry in page)
            if len(found) >= limit:
                break
        return found

    async def _oldest(self, shard: Shard, execution: str | None, after: _Place, limit: int) -> list[_Stored]:
        found: list[_Stored] = []
        begin = str(after.time // 1000)  # an entry's id is at least the time at which it was added
        while len(found) < limit:
            page = await self._session.call("XRANGE", shard.dlq, begin, "+", "COUNT", _PAGE)
            for entry in page:
                stored = _stored(shard, entry)
                if _place(stored) > after and execution in (None, _body(stored).execution):
                    found.append(stored)
            if len(page) < _PAGE:
                break
            begin = f"({page[-1][0].decode()}"
        return found[:limit]

    async def _find(self, tenant: str, id_: str) -> _Stored | None:
        match = _ID.fullmatch(id_)
        shards = self._session.keys.tenant(tenant).shards
        if match is None or int(match[1]) >= len(shards):
            return None
        if max(map(int, match[2].split("-"))) >= 1 << 64:
            return None
        shard = shards[int(match[1])]
        page = await self._session.call("XRANGE", shard.dlq, match[2], match[2])
        return _stored(shard, page[0]) if page else None


async def referred_executions(session: Session, shard: Shard) -> frozenset[str]:
    """The executions that the dead letters of a shard refer to."""
    found: set[str] = set()
    begin = "-"
    while True:
        page = await session.call("XRANGE", shard.dlq, begin, "+", "COUNT", _PAGE)
        found.update(_body(_stored(shard, entry)).execution for entry in page)
        if len(page) < _PAGE:
            return frozenset(found)
        begin = f"({page[-1][0].decode()}"


def dead_letter_of(shard: Shard, entry: Any) -> DeadLetter:
    """The dead letter of an entry as Redis returns it. Raises `Unreadable`."""
    return _dead_letter(_stored(shard, entry))


def _stored(shard: Shard, entry: Any) -> _Stored:
    id_, fields = entry
    return _Stored(shard, id_.decode(), dict(zip(fields[::2], fields[1::2], strict=True)))


def _body(stored: _Stored) -> Message | TaskRequest:
    payload = stored.fields[b"payload"]
    of_inbox = stored.fields[b"source"].decode() == stored.shard.inbox
    return decode_message(payload) if of_inbox else decode_task(payload)


def _dead_letter(stored: _Stored) -> DeadLetter:
    return DeadLetter(
        id=stored.id,
        tenant=stored.shard.tenant,
        body=_body(stored),
        error=stored.fields[b"error"].decode(),
        traceback=stored.fields[b"traceback"].decode(),
        attempts=int(stored.fields[b"attempts"]),
        moved_at=stored.time // 1000,
    )
