"""The public keys of an issuer of JWTs (JWKS, RFC 7517), fetched from the configured addresses only."""

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import aiohttp
import orjson

from unspool.api.authentication.jwt_settings import JwtSettings, check_url
from unspool.eventstore.settings import BadSetting

if TYPE_CHECKING:
    from joserfc.jwk import KeySet

log = logging.getLogger(__name__)

MAX_BYTES: Final = 1 << 20
FETCH_SECONDS: Final = 10.0
PAUSE_SECONDS: Final = 10.0
"""Between two fetches, at least, so that tokens with unknown keys cause few of them."""

MOST_AGE_SECONDS: Final = 86_400.0
"""After this time without a successful fetch, old keys are no longer accepted."""

_DISCOVERY: Final = "/.well-known/openid-configuration"


class IssuerUnavailable(Exception):
    """The issuer's keys cannot be fetched, and none are known that are new enough."""


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
        except (OSError, aiohttp.ClientError, ValueError, KeyError, TypeError, JoseError) as error:
            log.warning(
                "the keys of %s cannot be fetched: %s: %s",
                self._settings.issuer,
                type(error).__name__,
                error,
                extra={"action": "jwks_unavailable"},
            )

    async def _document(self) -> dict[str, Any]:
        timeout = aiohttp.ClientTimeout(total=FETCH_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as session:
            return await _json(session, self._settings.jwks_url or await self._discovered(session))

    async def _discovered(self, session: aiohttp.ClientSession) -> str:
        """Returns the address of the keys that the issuer names.

        Raises:
            ValueError: the document is one of another issuer, or names an address that is not safe.
        """
        issuer = self._settings.issuer
        document = await _json(session, issuer.rstrip("/") + _DISCOVERY)
        url = document["jwks_uri"]
        if document["issuer"] != issuer:
            raise ValueError(f"{_DISCOVERY} has the issuer {str(document['issuer'])[:200]!r}")
        check_url("jwks_uri", url)
        if urlsplit(url).scheme == "http" and urlsplit(issuer).scheme == "https":
            raise BadSetting("jwks_uri must be an https URL")
        return str(url)


async def _json(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    async with session.get(url, allow_redirects=False, raise_for_status=True) as response:
        if response.status != 200:
            raise ValueError(f"{url} answers {response.status}")
        body = bytearray()
        async for chunk in response.content.iter_chunked(1 << 16):
            body += chunk
            if len(body) > MAX_BYTES:
                raise ValueError(f"{url} sends more than {MAX_BYTES} bytes")
    document = orjson.loads(body)
    if not isinstance(document, dict):
        raise ValueError(f"{url} does not send an object")  # noqa: TRY004 - it is bad data, not a bug
    return document
