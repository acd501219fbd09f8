"""Finds out who sends a request: by an API key, a JWT, or the cookie of a session."""

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from typing import Final, Protocol

from starlette.requests import Request

from unspool.api.authentication.caller import ANY_CALLER, Caller, too_many, unauthenticated
from unspool.api.authentication.cookies import csrf_token, is_from_own_page, read_cookie
from unspool.api.authentication.failure_limit import FailureLimit, address_of
from unspool.api.authentication.issuer_login import IssuerLogin
from unspool.api.authentication.key_cache import KeyCache
from unspool.api.authentication.refusal_log import RefusalLog
from unspool.api.authentication.settings import AuthenticationSettings
from unspool.api.problems import HttpProblem
from unspool.eventstore.api_keys import ApiKey, Credential, parse_credential, with_included
from unspool.eventstore.clock import Clock
from unspool.eventstore.errors import StoreUnavailable
from unspool.eventstore.port import EventStore
from unspool.eventstore.rate_limits import Rate

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})

LOGIN: Final = "/api/v1/session/login"
"""Where a browser begins a login at the issuer."""

TENANT: Final = "unspool.tenant"
"""The member of a scope with the tenant of a request, for metrics."""

_NONE: Final = "send an API key as `Authorization: Bearer usk_…`"
_WRONG: Final = "the credential is not valid: it is unknown, revoked or expired"


class TokenVerifier(Protocol):
    """Accepts JWTs of an issuer."""

    async def caller(self, token: str) -> Caller | None:
        """Returns who has a token; None if it is not valid."""


class Authenticator:
    """Finds out who sends a request."""

    def __init__(
        self,
        store: EventStore,
        clock: Clock,
        settings: AuthenticationSettings,
        tokens: TokenVerifier | None = None,
        login: IssuerLogin | None = None,
    ) -> None:
        """Reads keys from a store.

        Args:
            store: has keys, sessions and the rates of keys.
            clock: the time for expiry.
            settings: whether authentication is on, and limits.
            tokens: accepts JWTs; None if no issuer is configured.
            login: logs browsers in at the issuer; None if no client of it is configured.
        """
        self.login = login
        self.settings = settings
        self.cache = KeyCache(store, settings.cache_seconds)
        self.refusals = RefusalLog()
        self._store = store
        self._clock = clock
        self._tokens = tokens
        self._failures = FailureLimit()

    async def caller(self, request: Request) -> Caller:
        """Returns who sends a request.

        Raises:
            HttpProblem: 401 without a valid credential, 403 if a page of another site may have sent the
                request, 429 after too many failures or requests.
        """
        if not self.settings.on:
            return ANY_CALLER
        caller = await self._identified(request)
        if caller.tenant is not None:
            request.scope[TENANT] = caller.tenant  # also for a request that the limit refuses
        await self._limit(caller)
        return caller

    async def caller_of_token(self, request: Request, token: str) -> Caller:
        """Returns who has an API key or a JWT.

        Raises:
            HttpProblem: 401 if it is not valid, 429 after too many failures.
        """
        credential = parse_credential(token)
        address = address_of(request)
        if not self._is_known(credential) and (seconds := self._failures.seconds_to_wait(address)):
            raise too_many("too many attempts with wrong credentials", seconds)
        caller = await self._by_token(token, credential)
        if caller is None:
            self._failures.count(address)
            raise self._unauthenticated(_WRONG)
        return caller

    async def is_accepted(self, caller: Caller) -> bool:
        """Returns whether the credential of a caller is still valid."""
        if caller.expires_at is not None and caller.expires_at <= self._clock.now():
            return False
        if caller.session is not None and await self._store.session(caller.session) is None:
            return False
        return caller.key is None or await self._key(caller.key) is not None

    async def while_accepted(
        self, caller: Caller, chunks: AsyncIterable[str | bytes | memoryview]
    ) -> AsyncIterator[str | bytes | memoryview]:
        """Passes on a stream until the caller's credential ends, or the store cannot be asked about it."""
        try:
            async for chunk in chunks:
                if not await self.is_accepted(caller):
                    return
                yield chunk
        except StoreUnavailable:
            return
        finally:
            if isinstance(chunks, AsyncGenerator):
                await chunks.aclose()

    def is_https(self, request: Request) -> bool:
        """Returns whether the browser of a caller uses https."""
        settings = self.settings
        return settings.https or settings.public_url.startswith("https:") or request.url.scheme == "https"

    async def _identified(self, request: Request) -> Caller:
        header = request.headers.get("authorization")
        if header is not None:
            scheme, _, token = header.partition(" ")
            if scheme.lower() != "bearer":
                raise self._unauthenticated(_NONE)
            return await self.caller_of_token(request, token.strip())
        cookie = read_cookie(request, https=self.is_https(request))
        if cookie is None:
            raise self._unauthenticated(_NONE)
        return await self._by_cookie(request, cookie)

    def _is_known(self, credential: Credential | None) -> bool:
        """Whether a credential is that of a key which was read lately: to accept it costs nothing."""
        key = self.cache.known(credential.id) if credential else None
        return credential is not None and key is not None and credential.matches(key.sha256)

    async def _by_token(self, token: str, credential: Credential | None) -> Caller | None:
        if credential is None:
            return await self._tokens.caller(token) if self._tokens else None
        key = await self._key(credential.id)
        return _caller(key) if key is not None and credential.matches(key.sha256) else None

    async def _by_cookie(self, request: Request, cookie: Credential) -> Caller:
        session = await self._store.session(cookie.id)
        if session is None or not cookie.matches(session.sha256):
            raise self._unauthenticated("the session has ended; log in again")
        if session.key is not None and await self._key(session.key) is None:
            raise self._unauthenticated("the key of this session was revoked or has expired; log in again")
        if request.method not in SAFE and not is_from_own_page(request, cookie, https=self.is_https(request)):
            raise HttpProblem(403, "a request with a session needs its `Origin` and its `X-CSRF-Token`")
        return Caller(
            session.name,
            session.tenant,
            with_included(session.scopes),
            session.key,
            session.id,
            session.expires_at,
            csrf_token(cookie),
        )

    def _unauthenticated(self, detail: str) -> HttpProblem:
        """Returns the answer to a request without a valid credential. The login page reads `login`."""
        problem = unauthenticated(detail)
        if self.login is not None:
            problem.members["login"] = {"path": LOGIN, "name": self.login.name}
        return problem

    async def _key(self, id_: str) -> ApiKey | None:
        key = await self.cache.key(id_)
        return None if key is None or key.is_expired(self._clock.now()) else key

    async def _limit(self, caller: Caller) -> None:
        per_second, burst = self.settings.key_rate, self.settings.key_burst
        if not per_second:
            return
        rate = Rate(max(1, int(1_000_000 / per_second)), burst)
        if await self._store.reserve_start(f"caller {caller.limit}", rate, 0) is None:
            raise too_many(f"this key may send {per_second:g} requests a second", 1 / per_second)


def _caller(key: ApiKey) -> Caller:
    name, scopes = f"key:{key.name}", with_included(key.scopes)
    return Caller(name, key.tenant, scopes, key.id, expires_at=key.expires_at)
