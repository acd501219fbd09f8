"""The part of the client for operators: dead letters, keys, services, functions."""

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime

import orjson

from unspool.client.connection import Request, path_of
from unspool.client.operation_records import Caller, CreatedKey, DeadLetter, Function, Key, System
from unspool.client.requests import Requests


class OperationMethods(Requests):
    """Reads and changes what operators look after."""

    async def dead_letters(self, *, execution: str | None = None) -> AsyncGenerator[DeadLetter, None]:
        """Yields the dead letters, of all executions or of one, the oldest first."""
        async for item in self._pages("dlq", {"execution": execution}):
            yield DeadLetter.of(item)

    async def dead_letter(self, id: str) -> DeadLetter:
        """Returns a dead letter with its original and traceback."""
        return DeadLetter.of(await self._get("dlq", id))

    async def requeue(self, id: str, *, reason: str | None = None) -> None:
        """Puts the original of a dead letter back into its queue."""
        await self._post("dlq", id, "requeue", reason=reason)

    async def discard(self, id: str, *, reason: str | None = None) -> None:
        """Deletes a dead letter."""
        await self._api.json(Request("DELETE", path_of("dlq", id), {"reason": reason}))

    async def keys(self) -> list[Key]:
        """Lists the API keys."""
        return [Key.of(item) for item in await self._items("keys")]

    async def create_key(
        self,
        name: str,
        scopes: Sequence[str],
        *,
        all_tenants: bool = False,
        expires_at: datetime | None = None,
    ) -> CreatedKey:
        """Creates an API key of this tenant, or of all tenants. Only this answer has its token."""
        members = {"name": name, "scopes": list(scopes), "expiresAt": expires_at and expires_at.isoformat()}
        if all_tenants:
            members["tenant"] = None
        made = await self._api.json(Request("POST", path_of("keys"), {}, orjson.dumps(members)))
        return CreatedKey(Key.of(made), made["key"], made)

    async def revoke_key(self, id: str) -> None:
        """Revokes an API key."""
        await self._api.json(Request("DELETE", path_of("keys", id)))

    async def caller(self) -> Caller:
        """Returns who the API takes you for, and what you may do."""
        return Caller.of(await self._get("session"))

    async def services(self) -> System:
        """Returns the services that are alive, what waits in the queues, and the state of the store.

        Raises:
            Forbidden: the token belongs to one tenant; this is of the whole store.
        """
        return System.of(await self._get("services"))

    async def functions(self) -> list[Function]:
        """Lists the functions that executors have registered."""
        return [Function.of(item) for item in await self._items("functions")]
