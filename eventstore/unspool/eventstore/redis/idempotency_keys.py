"""Idempotency keys: a hash of each shard has the executions. The shard is that of the digest of the key."""

from unspool.eventstore.idempotency_keys import EndedHolder, IdempotencyKey
from unspool.eventstore.redis import scripts
from unspool.eventstore.redis.session import Session


class RedisIdempotencyKeys:
    """The idempotency keys of the store."""

    _session: Session

    async def claim_key(
        self, key: IdempotencyKey, execution: str, instead_of: EndedHolder | None = None
    ) -> str:
        """See `IdempotencyKeys`."""
        digest = key.digest
        ended, version = instead_of or ("", 0)
        names = (self._session.keys.shard_of(key.tenant, digest).idempotency_keys,)
        holder: bytes = await self._session.run(scripts.CLAIM_KEY, names, (digest, execution, ended, version))
        return holder.decode()

    async def keep_key(self, key: IdempotencyKey, execution: str, version: int) -> bool:
        """See `IdempotencyKeys`."""
        digest = key.digest
        names = (self._session.keys.shard_of(key.tenant, digest).idempotency_keys,)
        return bool(await self._session.run(scripts.KEEP_KEY, names, (digest, execution, version)))

    async def release_key(self, key: IdempotencyKey, execution: str) -> bool:
        """See `IdempotencyKeys`."""
        digest = key.digest
        names = (self._session.keys.shard_of(key.tenant, digest).idempotency_keys,)
        return bool(await self._session.run(scripts.RELEASE_KEY, names, (digest, execution)))
