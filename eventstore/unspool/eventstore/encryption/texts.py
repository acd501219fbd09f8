"""Texts of external resources, encrypted under the hash of what they say."""

from unspool.eventstore.encryption.payloads import Payloads, is_sealed_text
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import ExecutionKey
from unspool.eventstore.texts import checked_text, sha256_of


class EncryptedTexts:
    """The port's `Texts`."""

    _inner: EventStore
    _payloads: Payloads

    async def put_text(self, user: ExecutionKey, text: str) -> str:
        """See `Texts`."""
        sha256 = sha256_of(text)
        text = self._payloads.sealed_resource(user.tenant, sha256, text)
        await self._inner.put_content(user, sha256, text.encode())
        return sha256

    async def text(self, tenant: str, sha256: str) -> str | None:
        """See `Texts`."""
        content = await self._inner.content(tenant, sha256)
        if content is not None and is_sealed_text(content):
            content = self._payloads.opened_resource(tenant, sha256, content.decode()).encode()
        return checked_text(content, sha256)
