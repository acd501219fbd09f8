"""Texts by their hash: a string for each."""

from unspool.eventstore.redis.session import Session
from unspool.eventstore.texts import checked_text, sha256_of


class RedisTexts:
    """The texts of the store."""

    _session: Session

    async def put_text(self, tenant: str, text: str) -> str:
        """See `Texts`."""
        sha256 = sha256_of(text)
        await self.put_content(tenant, sha256, text.encode())
        return sha256

    async def text(self, tenant: str, sha256: str) -> str | None:
        """See `Texts`."""
        return checked_text(await self.content(tenant, sha256), sha256)

    async def put_content(self, tenant: str, sha256: str, content: bytes) -> None:
        """See `Texts`."""
        key = self._session.keys.tenant(tenant).text(sha256)
        # Many executions fetch the same text: it is sent and written to the append-only file only once.
        if not await self._session.call("EXISTS", key):
            await self._session.call("SET", key, content)

    async def content(self, tenant: str, sha256: str) -> bytes | None:
        """See `Texts`."""
        stored: bytes | None = await self._session.call("GET", self._session.keys.tenant(tenant).text(sha256))
        return stored
