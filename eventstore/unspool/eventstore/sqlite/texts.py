"""Texts by their hash: a table."""

from unspool.eventstore.sqlite.connection_thread import Transaction
from unspool.eventstore.sqlite.mixin import StoreMixin
from unspool.eventstore.texts import checked_text, sha256_of


class SqliteTexts(StoreMixin):
    """The texts of the store."""

    async def put_text(self, tenant: str, text: str) -> str:
        """See `Texts`."""
        sha256 = sha256_of(text)
        row = (tenant, sha256, text.encode())

        def put(transaction: Transaction) -> None:
            transaction.execute("INSERT INTO texts VALUES (?, ?, ?) ON CONFLICT DO NOTHING", row)

        await self._database.write(put)
        return sha256

    async def text(self, tenant: str, sha256: str) -> str | None:
        """See `Texts`."""
        query = "SELECT text FROM texts WHERE tenant = ? AND sha256 = ?"

        def read(transaction: Transaction) -> bytes | None:
            row = transaction.execute(query, (tenant, sha256)).fetchone()
            return None if row is None else bytes(row[0])

        return checked_text(await self._database.read(read), sha256)
