"""What finds out who calls the API, as the settings say."""

import os

from unspool.api.authentication.authenticator import Authenticator
from unspool.api.authentication.issuer_login import IssuerLogin
from unspool.api.authentication.jwt_settings import JwtSettings
from unspool.api.authentication.oidc_settings import OidcSettings
from unspool.api.authentication.settings import AuthenticationSettings
from unspool.api.authentication.tokens import Tokens
from unspool.api.settings import ApiSettings
from unspool.cli.exits import CommandError
from unspool.eventstore.clock import SystemClock
from unspool.eventstore.port import EventStore
from unspool.eventstore.settings import from_environment


def configured_authenticator(store: EventStore, settings: ApiSettings) -> Authenticator:
    """Returns what finds out who calls an API with these settings.

    Raises:
        CommandError: settings do not fit together.
        BadSetting: one is not valid.
    """
    authentication = from_environment(AuthenticationSettings, os.environ)
    jwt = from_environment(JwtSettings, os.environ)
    check_exposure(settings, authentication)
    if jwt.issuer and not authentication.on:
        raise CommandError("UNSPOOL_JWT_ISSUER is set, but UNSPOOL_AUTH is not on")
    clock = SystemClock()
    tokens = Tokens(jwt, clock) if jwt.issuer else None
    login = _login(settings, authentication, jwt, tokens)
    return Authenticator(store, clock, authentication, tokens, login)


def check_exposure(settings: ApiSettings, authentication: AuthenticationSettings) -> None:
    """Raises `CommandError` if other machines can reach an address and no setting says who may use it."""
    if authentication.mode or settings.is_loopback:
        return
    raise CommandError(
        f"other machines can reach {settings.host}, and authentication is not set.\n"
        "Set UNSPOOL_AUTH=on and create a key with `unspool keys create`, "
        "or set UNSPOOL_AUTH=off to accept all callers"
    )


def _login(
    settings: ApiSettings, authentication: AuthenticationSettings, jwt: JwtSettings, tokens: Tokens | None
) -> IssuerLogin | None:
    """Returns the login at the issuer; None if no client of it is configured.

    Raises:
        CommandError: there is no issuer, or the address to which it sends browsers back would be that of any
            `Host` that a request names.
    """
    oidc = from_environment(OidcSettings, os.environ)
    if not oidc.client_id:
        return None
    if tokens is None:
        raise CommandError("UNSPOOL_OIDC_CLIENT_ID is set, but UNSPOOL_JWT_ISSUER is not")
    if not authentication.public_url and settings.hosts is None:
        raise CommandError(
            "UNSPOOL_OIDC_CLIENT_ID needs UNSPOOL_API_PUBLIC_URL: the issuer sends browsers back to it"
        )
    return IssuerLogin(oidc, jwt, tokens)
