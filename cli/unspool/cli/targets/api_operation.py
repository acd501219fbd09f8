"""The part of the adapter for the API that operators use: events, schedules, dead letters, keys, services."""

from collections.abc import Sequence
from contextlib import aclosing
from typing import Final

from unspool.cli.options import milliseconds
from unspool.cli.targets.missing import malformed_schedule, no_key, no_letter, no_schedule
from unspool.cli.targets.port import JsonObject, NewKey, Operated
from unspool.client import AsyncClient, NotFound
from unspool.eventstore.clock import instant, rfc3339
from unspool.eventstore.records import MessageKind
from unspool.worker.schedule.operations import PAUSED_BY, key_of

_TENANT: Final = "default"


class ApiOperation:
    """Operates a tenant by its API."""

    _client: AsyncClient

    async def publish(self, events: Sequence[JsonObject]) -> int | None:
        """As the port says: an API of an earlier release does not tell which of them are new."""
        done = await self._client.publish_batch(events)
        return None if done.duplicates is None else done.accepted - done.duplicates

    # -- schedules

    async def schedules(self) -> list[JsonObject]:
        """As the port says."""
        return [schedule.document for schedule in await self._client.schedules()]

    async def operate_schedule(
        self, kind: MessageKind, id_: str, reason: str | None, wait: float
    ) -> Operated:
        """As the port says."""
        if key_of(_TENANT, id_) is None:
            raise malformed_schedule(id_)
        paused = PAUSED_BY[kind]
        operate = self._client.pause_schedule if paused else self._client.resume_schedule
        try:
            schedule = await operate(id_, reason=reason, wait=wait or None)
        except NotFound:
            raise no_schedule(id_) from None
        return Operated(schedule.document, schedule.paused is paused)

    # -- dead letters

    async def dead_letters(self, execution: str | None, limit: int) -> list[JsonObject]:
        """As the port says."""
        found: list[JsonObject] = []
        async with aclosing(self._client.dead_letters(execution=execution)) as letters:
            async for letter in letters:
                found.append(letter.document)
                if len(found) == limit:
                    break
        return found

    async def dead_letter(self, id_: str) -> JsonObject:
        """As the port says."""
        try:
            return (await self._client.dead_letter(id_)).document
        except NotFound:
            raise no_letter(id_) from None

    async def requeue(self, id_: str, reason: str | None) -> None:
        """As the port says."""
        try:
            await self._client.requeue(id_, reason=reason)
        except NotFound:
            raise no_letter(id_) from None

    async def discard(self, id_: str, reason: str | None) -> None:
        """As the port says."""
        try:
            await self._client.discard(id_, reason=reason)
        except NotFound:
            raise no_letter(id_) from None

    # -- keys, services and functions

    async def keys(self) -> list[JsonObject]:
        """As the port says."""
        return [key.document for key in await self._client.keys()]

    async def create_key(self, new: NewKey) -> JsonObject:
        """As the port says."""
        expires_at = None if new.expires_at is None else instant(new.expires_at)
        made = await self._client.create_key(
            new.name, new.scopes, all_tenants=new.all_tenants, expires_at=expires_at
        )
        return made.document

    async def revoke_key(self, id_: str) -> None:
        """As the port says."""
        try:
            await self._client.revoke_key(id_)
        except NotFound:
            raise no_key(id_) from None

    async def services(self) -> JsonObject:
        """As the port says."""
        return (await self._client.services()).document

    async def functions(self) -> list[JsonObject]:
        """As the port says."""
        return [
            {
                "name": each.name,
                "version": each.version,
                "queue": each.queue,
                "executors": each.executors,
                "input": each.input,
                "output": each.output,
                "registeredAt": rfc3339(milliseconds(each.registered_at)),
            }
            for each in await self._client.functions()
        ]
