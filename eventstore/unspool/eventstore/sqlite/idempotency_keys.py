"""Idempotency keys: a table has the executions, by the digest of the key."""

from typing import Final

from unspool.eventstore.idempotency_keys import EndedHolder, IdempotencyKey
from unspool.eventstore.sqlite.connection_thread import Transaction
from unspool.eventstore.sqlite.mixin import StoreMixin

_CLAIM: Final = (
    "INSERT INTO idempotency_keys (tenant, digest, execution) VALUES (?, ?, ?)"
    " ON CONFLICT DO UPDATE SET execution = excluded.execution, kept_at = 0"
    " WHERE execution = ? AND kept_at < ?"
)
_KEEP: Final = (
    "INSERT INTO idempotency_keys (tenant, digest, execution, kept_at) VALUES (?, ?, ?, ?)"
    " ON CONFLICT DO UPDATE SET kept_at = max(kept_at, excluded.kept_at)"
    " WHERE execution = excluded.execution"
)
_HOLDER: Final = "SELECT execution FROM idempotency_keys WHERE tenant = ? AND digest = ?"
_RELEASE: Final = "DELETE FROM idempotency_keys WHERE tenant = ? AND digest = ? AND execution = ?"


class SqliteIdempotencyKeys(StoreMixin):
    """The idempotency keys of the store."""

    async def claim_key(
        self, key: IdempotencyKey, execution: str, instead_of: EndedHolder | None = None
    ) -> str:
        """See `IdempotencyKeys`."""
        row = (key.tenant, key.digest)
        ended = instead_of or ("", 0)

        def claim(transaction: Transaction) -> str:
            transaction.execute(_CLAIM, (*row, execution, *ended))
            [holder] = transaction.execute(_HOLDER, row).fetchone()
            return str(holder)

        return await self._database.write(claim)

    async def keep_key(self, key: IdempotencyKey, execution: str, version: int) -> bool:
        """See `IdempotencyKeys`."""
        row = (key.tenant, key.digest, execution, version)
        return await self._database.write(lambda transaction: bool(transaction.execute(_KEEP, row).rowcount))

    async def release_key(self, key: IdempotencyKey, execution: str) -> bool:
        """See `IdempotencyKeys`."""
        row = (key.tenant, key.digest, execution)
        return await self._database.write(
            lambda transaction: bool(transaction.execute(_RELEASE, row).rowcount)
        )
