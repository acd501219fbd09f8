"""JWTs of an issuer (RFC 7519) as credentials of callers."""

import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from typing import Any, Final
from urllib.parse import quote

from unspool.api.authentication.caller import Caller
from unspool.api.authentication.issuer_documents import IssuerUnavailable
from unspool.api.authentication.issuer_keys import IssuerKeys
from unspool.api.authentication.jwt_settings import JwtSettings
from unspool.api.problems import HttpProblem
from unspool.eventstore import ids
from unspool.eventstore.api_keys import with_included
from unspool.eventstore.clock import Clock
from unspool.eventstore.settings import BadSetting

log = logging.getLogger(__name__)

LEEWAY_SECONDS: Final = 60
"""How far the clocks of issuer and API may differ."""

ALL_TENANTS: Final = "*"

_LATEST: Final = 250_000_000_000
"""The year 9892, in seconds since 1970. Later times cannot be written as dates."""

MAX_TOKEN: Final = 16_384
"""The longest JWT in characters. Those of Entra name up to 200 groups, with about 50 characters each."""

MAX_NAME: Final = 255
"""The longest name in characters. OpenID Connect Core 1.0, section 2, gives `sub` as many."""

_SAFE: Final = "@:|/+"
"""What names show as it is, besides letters, digits, `_`, `.`, `-` and `~`."""

_FORM: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


class JwtRefused(Exception):
    """A JWT is not valid. The text says why, for the log."""


class Tokens:
    """Accepts JWTs of the configured issuer."""

    def __init__(self, settings: JwtSettings, clock: Clock) -> None:
        """Fetches nothing yet.

        Raises:
            BadSetting: the library for JWTs is not installed.
        """
        if find_spec("joserfc") is None:
            raise BadSetting("UNSPOOL_JWT_ISSUER needs a library: pip install 'unspool[jwt]'")
        self._settings = settings
        self._clock = clock
        self._keys = IssuerKeys(settings)
        self._scopes = settings.scope_by_value()

    async def caller(self, token: str) -> Caller | None:
        """Returns who has a token; None if it is not valid.

        Raises:
            HttpProblem: 503, if the issuer's keys cannot be fetched.
        """
        try:
            return await self._accepted(token, self._settings.audience)
        except JwtRefused as refused:
            log.info("a JWT was refused: %s", refused, extra={"action": "jwt_refused"})
            return None
        except IssuerUnavailable as error:
            raise _unavailable(error) from None

    async def caller_of_login(self, id_token: str, client_id: str, nonce: str) -> Caller:
        """Returns who logged in at the issuer.

        See OpenID Connect Core 1.0, section 3.1.3.7. An ID token is for the client that asked for it, so its
        audience is the client, not the API. It proves a login; the session that begins with it can be longer.

        Raises:
            JwtRefused: the ID token is not one of this login.
            IssuerUnavailable: the issuer's keys cannot be fetched.
        """
        return replace(await self._accepted(id_token, client_id, nonce), expires_at=None)

    async def _accepted(self, token: str, audience: str, nonce: str | None = None) -> Caller:
        """Returns who has a token for an audience, with a nonce of one login.

        Raises:
            JwtRefused: it is not valid.
        """
        from joserfc.errors import JoseError  # noqa: PLC0415 - an extra, and it takes long to import

        if len(token) > MAX_TOKEN:
            raise JwtRefused(f"it has more than {MAX_TOKEN} characters")
        if not _FORM.fullmatch(token):
            raise JwtRefused("it has not the form of a JWT")
        try:
            claims = await self._claims(token, audience)
            if nonce is not None:
                _check_login(claims, audience, nonce)
            return self._caller(claims)
        except (JoseError, ValueError, TypeError, RecursionError) as error:  # the library raises all of them
            raise JwtRefused(str(error)[:200]) from None

    async def _claims(self, token: str, audience: str) -> dict[str, Any]:
        from joserfc import jws, jwt  # noqa: PLC0415

        algorithms = self._settings.algorithms.split()
        header = jws.extract_compact(token.encode()).headers()
        if not isinstance(header, dict):  # the library accepts any JSON that contains "alg"
            raise ValueError("its header is no object")  # noqa: TRY004 - as for all that is odd in a JWT
        kid = header.get("kid")
        keys = await self._keys.keys(kid if isinstance(kid, str) else None)
        claims = jwt.decode(token, keys, algorithms=algorithms).claims
        jwt.JWTClaimsRegistry(
            self._clock.now() // 1000,
            LEEWAY_SECONDS,
            iss={"essential": True, "value": self._settings.issuer},
            aud={"essential": True, "value": audience},
            exp={"essential": True},
            sub={"essential": True},
        ).validate(claims)
        return claims

    def _caller(self, claims: dict[str, Any]) -> Caller:
        """Returns the caller with these claims.

        Raises:
            ValueError: they name no valid person, tenant or time.
        """
        if claims["exp"] > _LATEST:
            raise ValueError("its exp is no time")
        ends = (int(claims["exp"]) + LEEWAY_SECONDS) * 1000
        values = _texts(_claim(claims, self._settings.scopes_claim))
        scopes = with_included(self._scopes[value] for value in values if value in self._scopes)
        return Caller(f"jwt:{self._name(claims)}", self._tenant(claims), scopes, expires_at=ends)

    def _name(self, claims: dict[str, Any]) -> str:
        """Returns the name of a person. No two people of an issuer have the same."""
        named = _claim(claims, self._settings.name_claim)
        name = named if isinstance(named, str) and named else claims["sub"]
        if not (isinstance(name, str) and 1 <= len(name) <= MAX_NAME):
            raise ValueError(f"its name has not 1 to {MAX_NAME} characters")
        return quote(name, _SAFE)

    def _tenant(self, claims: dict[str, Any]) -> str | None:
        tenant = _claim(claims, self._settings.tenant_claim)
        if tenant is None:
            tenant = self._settings.tenant
        if not tenant:
            claim = self._settings.tenant_claim
            raise ValueError(f"it has no claim {claim!r}, and UNSPOOL_JWT_TENANT is not set")
        if tenant == ALL_TENANTS:
            return None
        if not (isinstance(tenant, str) and ids.TENANT.fullmatch(tenant)):
            raise ValueError("its tenant is not the name of one")
        return tenant


def _check_login(claims: Mapping[str, Any], client_id: str, nonce: str) -> None:
    """Checks the claims that an ID token has in addition.

    Raises:
        ValueError: one is missing or not the one of this login.
    """
    if "iat" not in claims:
        raise ValueError("the ID token has no iat")
    if claims.get("nonce") != nonce:
        raise ValueError("the ID token has not the nonce of this login")
    only = claims["aud"] in (client_id, [client_id])
    if claims.get("azp", client_id if only else None) != client_id:
        raise ValueError("the ID token is not for this client: azp")


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    """Returns a claim by its name, or by a path such as `realm_access.roles`; None if it is absent."""
    found: Any = claims
    for step in [name] if name in claims else name.split("."):
        found = found.get(step) if isinstance(found, dict) else None
    return found


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return value.split()
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _unavailable(error: IssuerUnavailable) -> HttpProblem:
    problem = HttpProblem(503, str(error))
    problem.headers["Retry-After"] = "10"
    return problem
