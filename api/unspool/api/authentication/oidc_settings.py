"""Settings of logins at an issuer (OpenID Connect)."""

from dataclasses import dataclass

from unspool.eventstore.settings import BadSetting, setting


@dataclass(frozen=True, slots=True)
class OidcSettings:
    """The client at the issuer with which browsers log in."""

    client_id: str = setting(
        "UNSPOOL_OIDC_CLIENT_ID",
        "",
        "Client at UNSPOOL_JWT_ISSUER with which people log in to the dashboard; default: no such login",
    )
    client_secret: str = setting(
        "UNSPOOL_OIDC_CLIENT_SECRET", "", "Secret of that client; default: it is a public one", secret=True
    )
    scopes: str = setting(
        "UNSPOOL_OIDC_SCOPES",
        "openid profile email",
        "Scopes that a login asks the issuer for; openid must be one",
    )
    name: str = setting(
        "UNSPOOL_OIDC_NAME", "", "Name of the issuer on the login page; default: its host name"
    )

    def __post_init__(self) -> None:
        """Checks the scopes.

        Raises:
            BadSetting: openid is missing.
        """
        if "openid" not in self.scopes.split():
            raise BadSetting("UNSPOOL_OIDC_SCOPES must have openid: without it, issuers send no ID token")
