"""Keys of the API's callers: fields of one hash. Their sessions: a string for each, which expires."""

from unspool.eventstore.api_key_codec import decode_key, decode_session, encode_key, encode_session
from unspool.eventstore.api_keys import ApiKey
from unspool.eventstore.api_keys import Session as LoginSession
from unspool.eventstore.redis import keys
from unspool.eventstore.redis.session import Session


class RedisApiKeys:
    """The keys and sessions of the store."""

    _session: Session

    async def put_api_key(self, key: ApiKey) -> None:
        """See `ApiKeys`."""
        await self._session.call("HSET", keys.API_KEYS, key.id, encode_key(key))

    async def api_key(self, id: str) -> ApiKey | None:  # noqa: A002 - the contract's name
        """See `ApiKeys`."""
        stored = await self._session.call("HGET", keys.API_KEYS, id)
        return None if stored is None else decode_key(stored)

    async def api_keys(self) -> list[ApiKey]:
        """See `ApiKeys`."""
        stored: list[bytes] = await self._session.call("HVALS", keys.API_KEYS)
        return sorted(map(decode_key, stored), key=lambda key: (key.created_at, key.id))

    async def delete_api_key(self, id: str) -> bool:  # noqa: A002 - the contract's name
        """See `ApiKeys`."""
        return bool(await self._session.call("HDEL", keys.API_KEYS, id))

    async def put_session(self, session: LoginSession) -> None:
        """See `ApiKeys`."""
        name, encoded = keys.login_session(session.id), encode_session(session)
        left = max(1, session.expires_at - await self._session.milliseconds())
        await self._session.call("SET", name, encoded, "PX", left)

    async def session(self, id: str) -> LoginSession | None:  # noqa: A002 - the contract's name
        """See `ApiKeys`."""
        stored = await self._session.call("GET", keys.login_session(id))
        return None if stored is None else decode_session(stored)

    async def delete_session(self, id: str) -> None:  # noqa: A002 - the contract's name
        """See `ApiKeys`."""
        await self._session.call("DEL", keys.login_session(id))
