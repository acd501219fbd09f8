"""Settings of JWTs."""

from dataclasses import dataclass
from typing import Final

from unspool.api.authentication.urls import fault_of_url
from unspool.eventstore import ids
from unspool.eventstore.api_keys import Scope
from unspool.eventstore.settings import BadSetting, setting

ALGORITHMS: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"}
)
"""Those with a public key. With a shared secret (`HS256`), a public key could be taken for the secret."""


@dataclass(frozen=True, slots=True)
class JwtSettings:
    """Which JWTs are accepted, and what they allow."""

    issuer: str = setting(
        "UNSPOOL_JWT_ISSUER", "", "URL of the issuer whose JWTs are accepted, as their `iss` has it"
    )
    audience: str = setting("UNSPOOL_JWT_AUDIENCE", "", "The `aud` that JWTs must have")
    algorithms: str = setting(
        "UNSPOOL_JWT_ALGORITHMS", "RS256 ES256", "Algorithms of signatures that are accepted"
    )
    jwks_url: str = setting(
        "UNSPOOL_JWT_JWKS_URL",
        "",
        "URL of the issuer's keys; default: the one in its /.well-known/openid-configuration",
    )
    jwks_seconds: float = setting(
        "UNSPOOL_JWT_JWKS_SECONDS", 300.0, "Seconds for which the issuer's keys are kept"
    )
    scopes_claim: str = setting(
        "UNSPOOL_JWT_SCOPES_CLAIM",
        "scope",
        "Claim with the scopes, as a list or separated by blanks; realm_access.roles is one inside another",
    )
    scopes: str = setting(
        "UNSPOOL_JWT_SCOPES",
        "unspool:read=read unspool:start=start unspool:operate=operate unspool:admin=admin",
        "Which values of that claim allow which scopes",
    )
    name_claim: str = setting(
        "UNSPOOL_JWT_NAME_CLAIM",
        "sub",
        "Claim with the name that histories show; without it they show the sub",
    )
    tenant_claim: str = setting(
        "UNSPOOL_JWT_TENANT_CLAIM", "tenant", "Claim with the tenant; * allows all tenants"
    )
    tenant: str = setting(
        "UNSPOOL_JWT_TENANT", "", "Tenant of JWTs without that claim; default: they are refused"
    )

    def __post_init__(self) -> None:
        """Checks the settings together.

        Raises:
            BadSetting: one is missing or not valid.
        """
        if not self.issuer:
            return
        if not self.audience:
            raise BadSetting(
                "UNSPOOL_JWT_AUDIENCE is missing: without it, JWTs for other services are accepted"
            )
        check_url("UNSPOOL_JWT_ISSUER", self.issuer)
        if self.jwks_url:
            check_url("UNSPOOL_JWT_JWKS_URL", self.jwks_url)
        unknown = set(self.algorithms.split()) - ALGORITHMS
        if unknown or not self.algorithms.split():
            raise BadSetting(f"UNSPOOL_JWT_ALGORITHMS must list some of {', '.join(sorted(ALGORITHMS))}")
        if self.tenant and not ids.TENANT.fullmatch(self.tenant):
            raise BadSetting(f"UNSPOOL_JWT_TENANT must match {ids.TENANT.pattern}")
        self.scope_by_value()

    def scope_by_value(self) -> dict[str, Scope]:
        """Returns the scope that each value of the claim allows.

        Raises:
            BadSetting: the setting has another form.
        """
        pairs = [pair.rpartition("=") for pair in self.scopes.split()]
        if not all(value and scope in set(Scope) for value, _, scope in pairs):
            form = f"VALUE=SCOPE, separated by blanks, with the scopes {', '.join(Scope)}"
            raise BadSetting(f"UNSPOOL_JWT_SCOPES must be {form}")
        return {value: Scope(scope) for value, _, scope in pairs}


def check_url(name: str, url: str) -> None:
    """Checks the URL in a setting.

    Raises:
        BadSetting: it is neither an https URL nor an http URL of this machine, or has a user or a fragment.
    """
    if fault := fault_of_url(url):
        raise BadSetting(f"{name} {fault}")
