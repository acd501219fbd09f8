"""Keys of the API's callers: fields of one hash. Their sessions: a list, and an expiring string for each."""

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
        now = await self._session.milliseconds()
        await self._session.call("ZREMRANGEBYSCORE", keys.LOGIN_SESSIONS, "-inf", now)
        # Listed first: a session that is not listed could not be ended by its name.
        await self._session.call("ZADD", keys.LOGIN_SESSIONS, session.expires_at, session.id)
        await self._session.call("SET", name, encoded, "PX", max(1, session.expires_at - now))

    async def session(self, id: str) -> LoginSession | None:  # noqa: A002 - the contract's name
        """See `ApiKeys`."""
        stored = await self._session.call("GET", keys.login_session(id))
        return None if stored is None else decode_session(stored)

    async def sessions(self) -> list[LoginSession]:
        """See `ApiKeys`."""
        listed: list[bytes] = await self._session.call("ZRANGE", keys.LOGIN_SESSIONS, 0, -1)
        found = [await self.session(id_.decode()) for id_ in listed]
        return [session for session in found if session is not None]

    async def delete_session(self, id: str) -> None:  # noqa: A002 - the contract's name
        """See `ApiKeys`."""
        await self._session.call("DEL", keys.login_session(id))
        await self._session.call("ZREM", keys.LOGIN_SESSIONS, id)
