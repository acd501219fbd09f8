"""The inboxes of executions, the task queues, and their consumers."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from unspool.eventstore.consumers import (
    APIS,
    EXECUTORS,
    NO_CAPACITY,
    NO_PAYLOAD_KEYS,
    SENDERS,
    TIMERS,
    WORKERS,
    Capacity,
    Consumer,
    Load,
    PayloadKeys,
)
from unspool.eventstore.records import Body, Delivery, Message, TaskRequest
from unspool.eventstore.redis import acknowledgement, scripts
from unspool.eventstore.redis.batched_calls import BatchedCalls
from unspool.eventstore.redis.codec import decode_message, decode_task, encode_message
from unspool.eventstore.redis.deregistration import deregister
from unspool.eventstore.redis.heartbeats import Heartbeats
from unspool.eventstore.redis.members import Members
from unspool.eventstore.redis.reader import Reader
from unspool.eventstore.redis.session import Session
from unspool.eventstore.redis.socket_connection import Argument
from unspool.eventstore.results import Renewal

_Finished = tuple[Delivery[TaskRequest], bytes]
"""A finished task and its result."""

_ROLES: Final = (WORKERS, EXECUTORS, SENDERS, TIMERS, APIS)
_RENEWALS: Final = (Renewal.LOST, Renewal.HELD, Renewal.CANCELLED)


class RedisQueues:
    """The deliveries of the store."""

    _session: Session

    def __init__(self) -> None:
        self._members = {role: Members(self._session, role) for role in _ROLES}
        self._heartbeats: dict[Consumer, Heartbeats] = {}
        self._inbox_readers: dict[Consumer, Reader[Message]] = {}
        self._task_readers: dict[Consumer, Reader[TaskRequest]] = {}
        self._finishing: BatchedCalls[str, _Finished, None] = BatchedCalls(self._finish)

    async def send(self, tenant: str, message: Message) -> None:
        """See `Inbox`."""
        await self._session.add_tenant(tenant)
        shard = self._session.keys.shard_of(tenant, message.execution)
        await self._session.call("XADD", shard.inbox, "*", "m", encode_message(message))
        self._session.announce(WORKERS, (shard,))

    async def receive_messages(
        self, consumer: Consumer, limit: int, seconds: float, skip: frozenset[str] = frozenset()
    ) -> list[Delivery[Message]]:
        """See `Inbox`."""
        return await (await self._inbox_reader(consumer)).receive(limit, seconds, skip)

    async def reclaim_messages(self, consumer: Consumer, limit: int, lease: float) -> list[Delivery[Message]]:
        """See `Inbox`."""
        return await (await self._inbox_reader(consumer)).reclaim(limit, lease)

    async def renew_messages(self, consumer: Consumer, deliveries: Sequence[Delivery[Message]]) -> None:
        """See `Inbox`."""
        sources = acknowledgement.by_source(deliveries)
        await asyncio.gather(*(self._renew(consumer, some) for some in sources.values()))

    async def acknowledge(self, deliveries: Sequence[Delivery[Message]]) -> None:
        """See `Inbox`."""
        await acknowledgement.acknowledge(self._session, deliveries)

    async def release(
        self, deliveries: Sequence[Delivery[Message]] | Sequence[Delivery[TaskRequest]]
    ) -> None:
        """See `Inbox`."""
        await acknowledgement.release(self._session, deliveries)

    async def give_back(self, deliveries: Sequence[Delivery[Message]]) -> list[Delivery[Message]]:
        """See `Inbox`."""
        return await acknowledgement.give_back(self._session, deliveries)

    async def receive_tasks(
        self, consumer: Consumer, limit: int, seconds: float
    ) -> list[Delivery[TaskRequest]]:
        """See `Tasks`."""
        return await (await self._task_reader(consumer)).receive(limit, seconds)

    async def reclaim_tasks(
        self, consumer: Consumer, limit: int, lease: float
    ) -> list[Delivery[TaskRequest]]:
        """See `Tasks`."""
        return await (await self._task_reader(consumer)).reclaim(limit, lease)

    async def renew_tasks(
        self, consumer: Consumer, deliveries: Sequence[Delivery[TaskRequest]]
    ) -> list[Renewal]:
        """See `Tasks`."""
        sources = acknowledgement.by_source(deliveries)
        answers = await asyncio.gather(*(self._renew(consumer, some) for some in sources.values()))
        of_source = {source: iter(some) for source, some in zip(sources, answers, strict=True)}
        return [_RENEWALS[next(of_source[delivery.source])] for delivery in deliveries]

    def finish_task(self, delivery: Delivery[TaskRequest], result: Message | None) -> Awaitable[None]:
        """See `Tasks`. A call whose reply was lost can be repeated; the result is sent once."""
        message = b"" if result is None else encode_message(result)
        return self._finishing.add(delivery.source, (delivery, message))

    async def heartbeat(
        self,
        consumer: Consumer,
        load: Load = Load.FREE,
        capacity: Capacity = NO_CAPACITY,
        keys: PayloadKeys = NO_PAYLOAD_KEYS,
    ) -> None:
        """See `EventStore`."""
        heartbeats = self._heartbeats.get(consumer)
        if heartbeats is None:
            heartbeats = self._heartbeats[consumer] = Heartbeats(consumer)
        members = self._members[consumer.role]
        await members.heartbeat(consumer.name, heartbeats.next(load, capacity, keys))
        await self._session.check_identity(self._session.call)
        await members.refresh()  # also if this consumer does not receive, to detect dead consumers

    async def others_free(self, consumer: Consumer) -> int:
        """See `EventStore`."""
        members = self._members[consumer.role]
        await members.refresh()
        return len(members.free(consumer.queues) - {consumer.name})

    async def deregister(self, consumer: Consumer) -> None:
        """See `EventStore`."""
        reader = self._inbox_readers.pop(consumer, None) or self._task_readers.pop(consumer, None)
        if reader is not None:
            await reader.close()
        self._heartbeats.pop(consumer, None)
        await deregister(self._session, consumer, self._members[consumer.role])

    async def queues_served(self) -> Counter[str]:
        """See `EventStore`."""
        members = self._members[EXECUTORS]
        await members.refresh()
        return Counter(queue for heartbeat in members.live().values() for queue in heartbeat.queues)

    async def _finish(self, source: str, finished: list[_Finished]) -> list[None]:
        """Sends the results of tasks of one queue, which is in one shard."""
        shard = self._session.keys.shard(finished[0][0].key)
        values: list[Argument] = []
        for delivery, message in finished:
            values += (delivery.id, delivery.body.idempotency_key, message)
        await self._session.run(scripts.FINISH, (source, shard.inbox, shard.cancelled), values)
        self._session.announce(WORKERS, (shard,))
        return [None] * len(finished)

    async def _close_readers(self) -> None:
        readers: list[Reader[Any]] = [*self._inbox_readers.values(), *self._task_readers.values()]
        for reader in readers:
            await reader.close()

    async def _inbox_reader(self, consumer: Consumer) -> Reader[Message]:
        return await self._reader(self._inbox_readers, consumer, decode_message)

    async def _task_reader(self, consumer: Consumer) -> Reader[TaskRequest]:
        return await self._reader(self._task_readers, consumer, decode_task)

    async def _reader(
        self, readers: dict[Consumer, Reader[Body]], consumer: Consumer, decode: Callable[[bytes], Body]
    ) -> Reader[Body]:
        reader = readers.get(consumer)
        if reader is None:
            await self.heartbeat(consumer)  # so that others can notice when its heartbeats stop
            reader = Reader(self._session, consumer, self._members[consumer.role], decode)
            reader = readers.setdefault(consumer, reader)
        return reader

    async def _renew(
        self, consumer: Consumer, deliveries: Sequence[Delivery[Message]] | Sequence[Delivery[TaskRequest]]
    ) -> list[int]:
        """Renews deliveries of one stream."""
        first = deliveries[0]
        names = (first.source, self._session.keys.shard(first.key).cancelled)
        pairs = (value for d in deliveries for value in (d.id, _run_key(d.body)))
        answers: list[int] = await self._session.run(
            scripts.RENEW, names, (consumer.role, consumer.name, *pairs)
        )
        return answers


def _run_key(body: Message | TaskRequest) -> str:
    """The key under which a task can be cancelled; empty for messages."""
    return body.idempotency_key if isinstance(body, TaskRequest) else ""
