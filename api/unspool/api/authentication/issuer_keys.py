"""The public keys of an issuer of JWTs (JWKS, RFC 7517), fetched from the configured addresses only."""

from typing import TYPE_CHECKING, Any, Final

import aiohttp

from unspool.api.authentication.issuer_documents import (
    BadDocument,
    IssuerUnavailable,
    address_in,
    client,
    discover,
    read_json,
)
from unspool.api.authentication.jwt_settings import JwtSettings
from unspool.api.authentication.refetched_document import RefetchedDocument

if TYPE_CHECKING:
    from joserfc.jwk import Key, KeySet

MOST_AGE_SECONDS: Final = 86_400.0
"""After this time without a successful fetch, old keys are no longer accepted."""


class IssuerKeys:
    """The newest keys of an issuer that could be fetched."""

    def __init__(self, settings: JwtSettings) -> None:
        self._settings = settings
        self._keys = RefetchedDocument(
            self._fetch,
            settings.jwks_seconds,
            problem=f"the keys of {settings.issuer} cannot be fetched",
            action="jwks_unavailable",
        )

    async def keys(self, kid: str | None) -> "KeySet":
        """Returns the keys. Fetches them again if they are old, or if none has this id.

        Raises:
            IssuerUnavailable: there are none that are new enough, and they cannot be fetched.
        """
        found = await self._keys.newest(lambda keys: self._are_usable(keys, kid))
        if found is None or not self._are_new_enough:
            raise IssuerUnavailable(f"the keys of {self._settings.issuer} cannot be fetched")
        return found

    def _are_usable(self, keys: "KeySet", kid: str | None) -> bool:
        return self._are_new_enough and (kid is None or any(key.kid == kid for key in keys))

    @property
    def _are_new_enough(self) -> bool:
        return self._keys.age <= MOST_AGE_SECONDS

    async def _fetch(self) -> "KeySet":
        from joserfc.jwk import KeySet  # noqa: PLC0415 - an extra

        found = (await self._document()).get("keys")
        if not isinstance(found, list):
            raise BadDocument("keys must be a list")
        keys = [key for each in found if (key := _public_key(each)) is not None]
        if not keys:
            raise BadDocument("keys must have a public key of a known type")
        return KeySet(keys)

    async def _document(self) -> dict[str, Any]:
        async with client() as session:
            return await read_json(session, self._settings.jwks_url or await self._discovered(session))

    async def _discovered(self, session: aiohttp.ClientSession) -> str:
        return address_in(await discover(session, self._settings.issuer), "jwks_uri")


def _public_key(values: object) -> "Key | None":
    """Returns a public key; None if it is not one that can be used (RFC 7517, section 5)."""
    from joserfc.errors import JoseError  # noqa: PLC0415 - an extra
    from joserfc.jwk import import_key  # noqa: PLC0415

    if not isinstance(values, dict) or values.get("kty") == "oct":
        return None
    try:
        return import_key(values)
    except (JoseError, ValueError, TypeError):
        return None
