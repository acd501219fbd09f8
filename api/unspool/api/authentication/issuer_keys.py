"""The public keys of an issuer of JWTs (JWKS, RFC 7517), fetched from the configured addresses only."""

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from unspool.api.authentication.issuer_documents import (
    UNREADABLE,
    IssuerUnavailable,
    address_in,
    client,
    discover,
    read_json,
)
from unspool.api.authentication.jwt_settings import JwtSettings

if TYPE_CHECKING:
    from joserfc.jwk import KeySet

log = logging.getLogger(__name__)

PAUSE_SECONDS: Final = 10.0
"""Between two fetches, at least, so that tokens with unknown keys cause few of them."""

MOST_AGE_SECONDS: Final = 86_400.0
"""After this time without a successful fetch, old keys are no longer accepted."""


class IssuerKeys:
    """The newest keys of an issuer that could be fetched."""

    def __init__(self, settings: JwtSettings) -> None:
        self._settings = settings
        self._keys: KeySet | None = None
        self._fetched_at = self._tried_at = -float("inf")
        self._fetching = asyncio.Lock()

    async def keys(self, kid: str | None) -> "KeySet":
        """Returns the keys. Fetches them again if they are old, or if none has this id.

        Raises:
            IssuerUnavailable: there are none that are new enough, and they cannot be fetched.
        """
        if not self._has(kid):
            async with self._fetching:
                if not self._has(kid) and time.monotonic() - self._tried_at >= PAUSE_SECONDS:
                    await self._fetch()
        if self._keys is None or time.monotonic() - self._fetched_at > MOST_AGE_SECONDS:
            raise IssuerUnavailable(f"the keys of {self._settings.issuer} cannot be fetched")
        return self._keys

    def _has(self, kid: str | None) -> bool:
        is_fresh = time.monotonic() - self._fetched_at < self._settings.jwks_seconds
        return self._keys is not None and is_fresh and (kid is None or any(k.kid == kid for k in self._keys))

    async def _fetch(self) -> None:
        from joserfc.errors import JoseError  # noqa: PLC0415 - an extra
        from joserfc.jwk import KeySet  # noqa: PLC0415

        self._tried_at = time.monotonic()
        try:
            found = await self._document()
            public = [key for key in found["keys"] if isinstance(key, dict) and key.get("kty") != "oct"]
            self._keys, self._fetched_at = KeySet.import_key_set({"keys": public}), time.monotonic()
        except (*UNREADABLE, JoseError) as error:
            log.warning(
                "the keys of %s cannot be fetched: %s: %s",
                self._settings.issuer,
                type(error).__name__,
                error,
                extra={"action": "jwks_unavailable"},
            )

    async def _document(self) -> dict[str, Any]:
        async with client() as session:
            return await read_json(session, self._settings.jwks_url or await self._discovered(session))

    async def _discovered(self, session: aiohttp.ClientSession) -> str:
        return address_in(await discover(session, self._settings.issuer), "jwks_uri")
