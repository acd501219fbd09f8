"""The part of the adapter for a store that operators use: events, schedules, dead letters, keys, services."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence

from unspool.api import dead_letter_operations
from unspool.api.key_records import key_json, new_key
from unspool.api.representations import dead_letter_json, schedule_json
from unspool.api.system_status import system_json
from unspool.api.transports import Transports
from unspool.cli.targets.missing import malformed_schedule, no_key, no_letter, no_schedule
from unspool.cli.targets.port import JsonObject, NewKey, Operated
from unspool.definitions.tasks.queues import QUEUES
from unspool.eventstore.actors import Actor
from unspool.eventstore.clock import SystemClock
from unspool.eventstore.monitoring.store_status import read_status
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import ExecutionKey, Message, MessageKind
from unspool.eventstore.waiting import done_before
from unspool.worker.schedule.operations import (
    PAUSED_BY,
    current_schedule,
    current_schedules,
    key_of,
    wait_until_paused,
)
from unspool.worker.schedule.state import ScheduleState


class StoreOperation(ABC):
    """Operates a tenant in a store."""

    _tenant: str
    _by: str

    @abstractmethod
    async def _store(self, execution: str | None = None) -> EventStore:
        """The store, or that of an execution."""

    @abstractmethod
    def _actor(self, reason: str | None) -> Actor:
        """Who works on the store, for histories."""

    async def publish(self, events: Sequence[JsonObject]) -> int | None:
        """As the port says."""
        return await (await self._store()).publish(self._tenant, [dict(event) for event in events])

    # -- schedules

    async def schedules(self) -> list[JsonObject]:
        """As the port says."""
        found = await current_schedules(await self._store(), self._tenant)
        return [schedule_json(state) for state in found]

    async def operate_schedule(
        self, kind: MessageKind, id_: str, reason: str | None, wait: float
    ) -> Operated:
        """As the port says."""
        store, key = await self._store(), schedule_key_of(self._tenant, id_)
        await schedule_of(store, key)
        await store.send(self._tenant, Message(kind, key.id, self._actor(reason).data()))
        effect = wait_until_paused(store, key, paused=PAUSED_BY[kind])
        applied = await done_before(effect, asyncio.sleep(wait))
        return Operated(schedule_json(await schedule_of(store, key)), applied)

    # -- dead letters

    async def dead_letters(self, execution: str | None, limit: int) -> list[JsonObject]:
        """As the port says."""
        store = await self._store(execution)
        page = await store.dead_letters(self._tenant, execution=execution, limit=limit)
        return [dead_letter_json(letter) for letter in page.items]

    async def dead_letter(self, id_: str) -> JsonObject:
        """As the port says."""
        letter = await (await self._store()).dead_letter(self._tenant, id_)
        if letter is None:
            raise no_letter(id_)
        return dead_letter_json(letter, whole=True)

    async def requeue(self, id_: str, reason: str | None) -> None:
        """As the port says."""
        store = await self._store()
        if not await dead_letter_operations.requeue(store, self._tenant, id_, self._actor(reason)):
            raise no_letter(id_)

    async def discard(self, id_: str, reason: str | None) -> None:
        """As the port says."""
        store = await self._store()
        if not await dead_letter_operations.discard(store, self._tenant, id_, self._actor(reason)):
            raise no_letter(id_)

    # -- keys and services

    async def keys(self) -> list[JsonObject]:
        """As the port says: those of all tenants."""
        return [key_json(key) for key in await (await self._store()).api_keys()]

    async def create_key(self, new: NewKey) -> JsonObject:
        """As the port says."""
        now = SystemClock().now()
        tenant = None if new.all_tenants else self._tenant
        made = new_key(new.name, tenant, new.scopes, now=now, expires_at=new.expires_at, created_by=self._by)
        await (await self._store()).put_api_key(made.key)
        return made.json()

    async def revoke_key(self, id_: str) -> None:
        """As the port says: a key of any tenant."""
        if not await (await self._store()).delete_api_key(id_):
            raise no_key(id_)

    async def services(self) -> JsonObject:
        """As the port says."""
        store = await self._store()
        status, sinks, sources = await asyncio.gather(
            read_status(store, QUEUES), store.sinks(), store.sources()
        )
        return system_json(status, Transports(sinks, sources, status.now))


def schedule_key_of(tenant: str, id_: str) -> ExecutionKey:
    """Returns the key of a schedule.

    Raises:
        CommandError: the id has another form.
    """
    key = key_of(tenant, id_)
    if key is None:
        raise malformed_schedule(id_)
    return key


async def schedule_of(store: EventStore, key: ExecutionKey) -> ScheduleState:
    """Returns a schedule.

    Raises:
        CommandError: there is none with that key.
    """
    state = await current_schedule(store, key)
    if state is None:
        raise no_schedule(key.id.partition(".")[2])
    return state
