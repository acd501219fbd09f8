"""Texts by their hash: a table, and tables of the executions that may use them."""

from typing import Final

from unspool.eventstore.records import ExecutionKey
from unspool.eventstore.sqlite.connection_thread import Transaction
from unspool.eventstore.sqlite.index import read_record
from unspool.eventstore.sqlite.mixin import NOW, StoreMixin
from unspool.eventstore.texts import ANY_WORKFLOW, StoredText, TextUse, checked_text, sha256_of, use_by

_PUT: Final = "INSERT INTO texts VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_TEXT: Final = "SELECT text FROM texts WHERE tenant = ? AND sha256 = ?"
_IS_NOTED: Final = (
    "SELECT 1 FROM text_looks NATURAL JOIN text_uses NATURAL JOIN texts WHERE tenant = ? AND sha256 = ?"
    " AND workflow = ? AND since <= ? AND until >= ? AND unused_since IS NULL"
)
_USE: Final = (
    "INSERT INTO text_uses VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
    " since = min(since, excluded.since), until = max(until, excluded.until)"
)
# An earlier state of the store did not note uses: each execution until now may use the text.
_USE_BY_ALL: Final = (
    f"INSERT INTO text_uses SELECT tenant, sha256, '{ANY_WORKFLOW}', 0, {NOW} + 1 FROM texts"  # noqa: S608 - constants
    " WHERE tenant = ? AND sha256 = ? AND NOT EXISTS"
    " (SELECT 1 FROM text_looks AS look WHERE look.tenant = texts.tenant AND look.sha256 = texts.sha256)"
)
_LOOK: Final = "INSERT INTO text_looks VALUES (?, ?, ?, NULL) ON CONFLICT DO UPDATE SET unused_since = NULL"
_BEFORE: Final = (
    "SELECT tenant, sha256, unused_since FROM text_looks WHERE look_at < ? ORDER BY look_at LIMIT ?"
)
_USES: Final = (
    "SELECT workflow, since, until FROM text_uses WHERE tenant = ? AND sha256 = ? ORDER BY workflow"
)
_LOOK_AGAIN: Final = "UPDATE text_looks SET look_at = ?, unused_since = ? WHERE tenant = ? AND sha256 = ?"
_FORGET: Final = "DELETE FROM text_looks WHERE tenant = ? AND sha256 = ? AND unused_since = ?"
_DELETE: Final = tuple(
    f"DELETE FROM {table} WHERE tenant = ? AND sha256 = ?"  # noqa: S608 - our own tables
    for table in ("text_uses", "texts")
)


class SqliteTexts(StoreMixin):
    """The texts of the store."""

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

        def is_noted(transaction: Transaction) -> bool:
            use = _use_by(transaction, user)
            key = (user.tenant, sha256)
            return use is None or transaction.execute(_IS_NOTED, (*key, *use)).fetchone() is not None

        # Many executions fetch the same text: few of them need the thread that writes.
        if not await self._database.read(is_noted):
            await self._database.write(lambda transaction: _put(transaction, user, sha256, content))

    async def content(self, tenant: str, sha256: str) -> bytes | None:
        """See `Texts`."""

        def read(transaction: Transaction) -> bytes | None:
            row = transaction.execute(_TEXT, (tenant, sha256)).fetchone()
            return None if row is None else bytes(row[0])

        return await self._database.read(read)

    async def texts_before(self, time: int, limit: int) -> list[StoredText]:
        """See `Texts`."""

        def read(transaction: Transaction) -> list[StoredText]:
            due = transaction.execute(_BEFORE, (time, limit)).fetchall()
            return [
                StoredText(tenant, sha256, _uses(transaction, tenant, sha256), unused)
                for tenant, sha256, unused in due
            ]

        return await self._database.read(read)

    async def look_at_text_again(self, text: StoredText, time: int, unused_since: int | None) -> None:
        """See `Texts`."""
        row = (time, unused_since, text.tenant, text.sha256)
        await self._database.write(lambda transaction: transaction.execute(_LOOK_AGAIN, row))

    async def drop_text(self, text: StoredText) -> bool:
        """See `Texts`."""
        key = (text.tenant, text.sha256)

        def drop(transaction: Transaction) -> bool:
            forgotten = transaction.execute(_FORGET, (*key, text.unused_since)).rowcount > 0
            for statement in _DELETE if forgotten else ():
                transaction.execute(statement, key)
            return forgotten

        return await self._database.write(drop)


def _put(transaction: Transaction, user: ExecutionKey, sha256: str, content: bytes) -> None:
    use, key = _use_by(transaction, user), (user.tenant, sha256)
    if use is None:
        return
    transaction.execute(_USE_BY_ALL, key)
    transaction.execute(_PUT, (*key, content))
    transaction.execute(_USE, (*key, *use))
    transaction.execute(_LOOK, (*key, use.since))


def _use_by(transaction: Transaction, user: ExecutionKey) -> TextUse | None:
    record = read_record(transaction, user)
    return None if record is None else use_by(record.workflow, record.created_at)


def _uses(transaction: Transaction, tenant: str, sha256: str) -> tuple[TextUse, ...]:
    return tuple(TextUse(*row) for row in transaction.execute(_USES, (tenant, sha256)))
