"""The addresses of an issuer where people log in and where codes become tokens."""

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Any, Final

from unspool.api.authentication.issuer_documents import (
    UNREADABLE,
    IssuerUnavailable,
    address_in,
    client,
    discover,
)
from unspool.api.authentication.jwt_settings import JwtSettings

log = logging.getLogger(__name__)

PAUSE_SECONDS: Final = 10.0
"""Between two fetches, at least, so that many logins cause few of them."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """What a discovery document says of logins."""

    authorization: str
    token: str
    takes_basic: bool
    """Whether clients send their secret in `Authorization` (RFC 6749, section 2.3.1), and not in the body."""
    names_itself: bool
    """Whether its answers have `iss` (RFC 9207)."""


class IssuerEndpoints:
    """The endpoints of an issuer, from its discovery document, which is read again from time to time."""

    def __init__(self, settings: JwtSettings) -> None:
        self._settings = settings
        self._known: Endpoints | None = None
        self._fetched_at = self._tried_at = -float("inf")
        self._fetching = asyncio.Lock()

    async def get(self) -> Endpoints:
        """Returns the endpoints, also old ones if the issuer does not answer.

        Raises:
            IssuerUnavailable: none could ever be fetched.
        """
        async with self._fetching:
            now = time.monotonic()
            is_old = now - self._fetched_at >= self._settings.jwks_seconds
            if is_old and now - self._tried_at >= PAUSE_SECONDS:
                await self._fetch()
        if self._known is None:
            raise IssuerUnavailable(f"the discovery document of {self._settings.issuer} cannot be fetched")
        return self._known

    async def _fetch(self) -> None:
        self._tried_at = time.monotonic()
        try:
            async with client() as session:
                self._known = _endpoints(await discover(session, self._settings.issuer))
            self._fetched_at = time.monotonic()
        except UNREADABLE as error:
            log.warning(
                "the discovery document of %s cannot be used: %s: %s",
                self._settings.issuer,
                type(error).__name__,
                error,
                extra={"action": "discovery_unavailable"},
            )


def _endpoints(document: dict[str, Any]) -> Endpoints:
    methods = document.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    return Endpoints(
        authorization=address_in(document, "authorization_endpoint"),
        token=address_in(document, "token_endpoint"),
        takes_basic="client_secret_basic" in methods or "client_secret_post" not in methods,
        names_itself=document.get("authorization_response_iss_parameter_supported") is True,
    )
