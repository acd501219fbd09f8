"""Texts by their hash: a string for each, and a hash with the executions that may use it."""

import asyncio
from typing import Final

import orjson

from unspool.eventstore.records import ExecutionKey, WorkflowRef
from unspool.eventstore.redis import scripts
from unspool.eventstore.redis.session import Session
from unspool.eventstore.texts import StoredText, TextUse, checked_text, sha256_of, use_by

_TENANTS_AT_ONCE: Final = 64
_UNUSED: Final = "unused"


class RedisTexts:
    """The texts of the store."""

    _session: Session

    async def put_text(self, user: ExecutionKey, text: str) -> str:
        """See `Texts`."""
        sha256 = sha256_of(text)
        await self.put_content(user, sha256, text.encode())
        return sha256

    async def text(self, tenant: str, sha256: str) -> str | None:
        """See `Texts`."""
        return checked_text(await self.content(tenant, sha256), sha256)

    async def put_content(self, user: ExecutionKey, sha256: str, content: bytes) -> None:
        """See `Texts`."""
        name = self._session.keys.shard(user).execution(user.id)
        workflow, created_at = await self._session.call("HMGET", name, "workflow", "created")
        if workflow is None:
            return
        names = self._names_of_text(user.tenant, sha256)
        values = (sha256, *use_by(WorkflowRef(*orjson.loads(workflow)), int(created_at)))
        # Many executions fetch the same text: it is sent and written to the append-only file only once.
        if not await self._session.run(scripts.PUT_TEXT, names, values):
            await self._session.run(scripts.PUT_TEXT, names, (*values, content))

    async def content(self, tenant: str, sha256: str) -> bytes | None:
        """See `Texts`."""
        stored: bytes | None = await self._session.call("GET", self._session.keys.tenant(tenant).text(sha256))
        return stored

    async def texts_before(self, time: int, limit: int) -> list[StoredText]:
        """See `Texts`."""
        tenants = sorted(await self._session.tenants())
        found: list[tuple[str, str]] = []
        for first in range(0, len(tenants), _TENANTS_AT_ONCE):
            some = tenants[first : first + _TENANTS_AT_ONCE]
            due = await asyncio.gather(*(self._texts_due(tenant, time, limit) for tenant in some))
            found += (text for of_tenant in due for text in of_tenant)
            if len(found) >= limit:
                break
        return await asyncio.gather(*(self._stored_text(*text) for text in found[:limit]))

    async def look_at_text_again(self, text: StoredText, time: int, unused_since: int | None) -> None:
        """See `Texts`."""
        values = (text.sha256, time, "" if unused_since is None else unused_since)
        await self._session.run(scripts.LOOK_AT_TEXT, self._names_of_text(text.tenant, text.sha256), values)

    async def drop_text(self, text: StoredText) -> bool:
        """See `Texts`."""
        if text.unused_since is None:
            return False
        values = (text.sha256, text.unused_since)
        return bool(
            await self._session.run(scripts.DROP_TEXT, self._names_of_text(text.tenant, text.sha256), values)
        )

    def _names_of_text(self, tenant: str, sha256: str) -> tuple[str, str, str]:
        keys = self._session.keys.tenant(tenant)
        return keys.text(sha256), keys.text_uses(sha256), keys.texts

    async def _texts_due(self, tenant: str, time: int, limit: int) -> list[tuple[str, str]]:
        texts = self._session.keys.tenant(tenant).texts
        found = await self._session.call("ZRANGEBYSCORE", texts, "-inf", f"({time}", "LIMIT", 0, limit)
        return [(tenant, sha256.decode()) for sha256 in found]

    async def _stored_text(self, tenant: str, sha256: str) -> StoredText:
        found = await self._session.call("HGETALL", self._session.keys.tenant(tenant).text_uses(sha256))
        fields = {name.decode(): value.decode() for name, value in zip(found[::2], found[1::2], strict=True)}
        unused = fields.pop(_UNUSED, None)
        uses = (TextUse(workflow, *map(int, times.split())) for workflow, times in sorted(fields.items()))
        return StoredText(tenant, sha256, tuple(uses), None if unused is None else int(unused))
