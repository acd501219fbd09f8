"""The addresses of an issuer where people log in and where codes become tokens."""

from dataclasses import dataclass
from typing import Any

from unspool.api.authentication.issuer_documents import (
    BadDocument,
    IssuerUnavailable,
    address_in,
    client,
    discover,
)
from unspool.api.authentication.jwt_settings import JwtSettings
from unspool.api.authentication.refetched_document import RefetchedDocument


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
        self._document = RefetchedDocument(
            self._fetch,
            settings.jwks_seconds,
            problem=f"the discovery document of {settings.issuer} cannot be used",
            action="discovery_unavailable",
        )

    async def get(self) -> Endpoints:
        """Returns the endpoints, also old ones if the issuer does not answer.

        Raises:
            IssuerUnavailable: none could ever be fetched.
        """
        found = await self._document.newest()
        if found is None:
            raise IssuerUnavailable(f"the discovery document of {self._settings.issuer} cannot be fetched")
        return found

    async def _fetch(self) -> Endpoints:
        async with client() as session:
            return _endpoints(await discover(session, self._settings.issuer))


def _endpoints(document: dict[str, Any]) -> Endpoints:
    methods = document.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    if not isinstance(methods, list):
        raise BadDocument("token_endpoint_auth_methods_supported must be a list")
    return Endpoints(
        authorization=address_in(document, "authorization_endpoint"),
        token=address_in(document, "token_endpoint"),
        takes_basic="client_secret_basic" in methods or "client_secret_post" not in methods,
        names_itself=document.get("authorization_response_iss_parameter_supported") is True,
    )
