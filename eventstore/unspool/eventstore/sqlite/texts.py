"""Texts by their hash: a table."""

from typing import Final

from unspool.eventstore.sqlite.connection_thread import Transaction
from unspool.eventstore.sqlite.mixin import StoreMixin
from unspool.eventstore.texts import checked_text, sha256_of

_IS_STORED: Final = "SELECT 1 FROM texts WHERE tenant = ? AND sha256 = ?"
_PUT: Final = "INSERT INTO texts VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_TEXT: Final = "SELECT text FROM texts WHERE tenant = ? AND sha256 = ?"


class SqliteTexts(StoreMixin):
    """The texts of the store."""

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
        key = (tenant, sha256)

        def is_stored(transaction: Transaction) -> bool:
            return transaction.execute(_IS_STORED, key).fetchone() is not None

        def put(transaction: Transaction) -> None:
            transaction.execute(_PUT, (*key, content))

        # Many executions fetch the same text: only the first one needs the thread that writes.
        if not await self._database.read(is_stored):
            await self._database.write(put)

    async def content(self, tenant: str, sha256: str) -> bytes | None:
        """See `Texts`."""

        def read(transaction: Transaction) -> bytes | None:
            row = transaction.execute(_TEXT, (tenant, sha256)).fetchone()
            return None if row is None else bytes(row[0])

        return await self._database.read(read)
