"""Keys of the API's callers, and their sessions: a table for each."""

from typing import Final

from unspool.eventstore.api_key_codec import decode_key, decode_session, encode_key, encode_session
from unspool.eventstore.api_keys import ApiKey, Session
from unspool.eventstore.sqlite.connection_thread import Transaction
from unspool.eventstore.sqlite.mixin import StoreMixin

_PUT_KEY: Final = "INSERT INTO api_keys (id, created_at, body) VALUES (?, ?, ?)"
_KEY: Final = "SELECT body FROM api_keys WHERE id = ?"
_KEYS: Final = "SELECT body FROM api_keys ORDER BY created_at, id"
_DELETE_KEY: Final = "DELETE FROM api_keys WHERE id = ?"
_PUT_SESSION: Final = "INSERT INTO api_sessions (id, expires_at, body) VALUES (?, ?, ?)"
_SESSION: Final = "SELECT body FROM api_sessions WHERE id = ? AND expires_at > ?"
_SESSIONS: Final = "SELECT body FROM api_sessions WHERE expires_at > ? ORDER BY expires_at, id"
_DELETE_SESSION: Final = "DELETE FROM api_sessions WHERE id = ?"
_DELETE_ENDED: Final = "DELETE FROM api_sessions WHERE expires_at <= ?"


class SqliteApiKeys(StoreMixin):
    """The keys and sessions of the store."""

    async def put_api_key(self, key: ApiKey) -> None:
        """See `ApiKeys`."""
        row = (key.id, key.created_at, encode_key(key))
        await self._database.write(lambda transaction: transaction.execute(_PUT_KEY, row))

    async def api_key(self, id: str) -> ApiKey | None:  # noqa: A002 - the contract's name
        """See `ApiKeys`."""
        row = await self._database.read(lambda transaction: transaction.execute(_KEY, (id,)).fetchone())
        return row and decode_key(row[0])

    async def api_keys(self) -> list[ApiKey]:
        """See `ApiKeys`."""
        rows = await self._database.read(lambda transaction: transaction.execute(_KEYS).fetchall())
        return [decode_key(body) for (body,) in rows]

    async def delete_api_key(self, id: str) -> bool:  # noqa: A002 - the contract's name
        """See `ApiKeys`."""
        return await self._database.write(
            lambda transaction: transaction.execute(_DELETE_KEY, (id,)).rowcount > 0
        )

    async def put_session(self, session: Session) -> None:
        """See `ApiKeys`."""
        now = self._database.clock.now()
        row = (session.id, session.expires_at, encode_session(session))

        def put(transaction: Transaction) -> None:
            transaction.execute(_DELETE_ENDED, (now,))
            transaction.execute(_PUT_SESSION, row)

        await self._database.write(put)

    async def session(self, id: str) -> Session | None:  # noqa: A002 - the contract's name
        """See `ApiKeys`."""
        now = self._database.clock.now()
        row = await self._database.read(
            lambda transaction: transaction.execute(_SESSION, (id, now)).fetchone()
        )
        return row and decode_session(row[0])

    async def sessions(self) -> list[Session]:
        """See `ApiKeys`."""
        now = self._database.clock.now()
        rows = await self._database.read(
            lambda transaction: transaction.execute(_SESSIONS, (now,)).fetchall()
        )
        return [decode_session(body) for (body,) in rows]

    async def delete_session(self, id: str) -> None:  # noqa: A002 - the contract's name
        """See `ApiKeys`."""
        await self._database.write(lambda transaction: transaction.execute(_DELETE_SESSION, (id,)))
