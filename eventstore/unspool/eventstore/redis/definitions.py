"""Definitions: a hash of versions for each name, and a set of the names of a tenant."""

import asyncio

import orjson

from unspool.eventstore.records import Definition, WorkflowRef
from unspool.eventstore.redis.session import Session
from unspool.eventstore.results import Stored
from unspool.eventstore.semver import order


class RedisDefinitions:
    """The definitions of the store."""

    _session: Session

    async def put_definition(self, tenant: str, definition: Definition) -> Stored:
        """See `Definitions`."""
        names = self._session.keys.tenant(tenant)
        namespace, name, version = definition.ref
        key = names.definition(namespace, name)
        # The name first: a name without versions is harmless, a version without its name is not listed.
        await self._session.call("SADD", names.definitions, orjson.dumps([namespace, name]))
        entry = orjson.dumps([definition.created_at, definition.text])
        if await self._session.call("HSETNX", key, version, entry):
            return Stored.CREATED
        _, text = orjson.loads(await self._session.call("HGET", key, version))
        return Stored.SAME if text == definition.text else Stored.DIFFERENT

    async def definition(
        self, tenant: str, namespace: str, name: str, version: str | None = None
    ) -> Definition | None:
        """See `Definitions`."""
        key = self._session.keys.tenant(tenant).definition(namespace, name)
        version = version or await self._latest(key)
        entry = None if version is None else await self._session.call("HGET", key, version)
        return None if entry is None else _definition(WorkflowRef(namespace, name, str(version)), entry)

    async def resolve(
        self, tenant: str, namespace: str, name: str, version: str | None = None
    ) -> WorkflowRef | None:
        """See `Definitions`."""
        key = self._session.keys.tenant(tenant).definition(namespace, name)
        if version is None:
            version = await self._latest(key)
        elif not await self._session.call("HEXISTS", key, version):
            version = None
        return None if version is None else WorkflowRef(namespace, name, version)

    async def _latest(self, key: str) -> str | None:
        versions: list[bytes] = await self._session.call("HKEYS", key)
        return max((version.decode() for version in versions), key=order, default=None)

    async def definitions(
        self, tenant: str, namespace: str | None = None, name: str | None = None
    ) -> list[Definition]:
        """See `Definitions`."""
        members = await self._session.call("SMEMBERS", self._session.keys.tenant(tenant).definitions)
        names = [
            (space, own)
            for space, own in sorted(tuple(orjson.loads(member)) for member in members)
            if namespace in (None, space) and name in (None, own)
        ]
        found = await asyncio.gather(*(self._versions(tenant, space, own) for space, own in names))
        return [definition for versions in found for definition in versions]

    async def _versions(self, tenant: str, namespace: str, name: str) -> list[Definition]:
        key = self._session.keys.tenant(tenant).definition(namespace, name)
        reply: list[bytes] = await self._session.call("HGETALL", key)
        versions = [
            _definition(WorkflowRef(namespace, name, version.decode()), entry)
            for version, entry in zip(reply[::2], reply[1::2], strict=True)
        ]
        return sorted(versions, key=lambda definition: order(definition.ref.version))


def _definition(ref: WorkflowRef, entry: bytes) -> Definition:
    created_at, text = orjson.loads(entry)
    return Definition(ref, text, created_at)
