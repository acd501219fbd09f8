"""Logins at an issuer: the authorization code flow of OpenID Connect, with PKCE.

See OpenID Connect Core 1.0, section 3.1, RFC 7636 (PKCE), RFC 9207 (`iss`) and RFC 9700 (best practice).
"""

from base64 import b64encode
from urllib.parse import quote_plus, urlencode, urlsplit

from unspool.api.authentication.caller import Caller
from unspool.api.authentication.issuer_documents import UNREADABLE, IssuerUnavailable, client, object_in
from unspool.api.authentication.issuer_endpoints import Endpoints, IssuerEndpoints
from unspool.api.authentication.jwt_settings import JwtSettings
from unspool.api.authentication.login_limits import LoginLimits
from unspool.api.authentication.login_refusals import LoginRefused, Refusal, error_code
from unspool.api.authentication.oidc_settings import OidcSettings
from unspool.api.authentication.pending_login import PendingLogin
from unspool.api.authentication.tokens import JwtRefused, Tokens


class IssuerLogin:
    """Logs people in at the issuer whose JWTs are accepted."""

    def __init__(self, settings: OidcSettings, jwt: JwtSettings, tokens: Tokens) -> None:
        """Fetches nothing yet.

        Args:
            settings: the client at the issuer.
            jwt: the issuer, and what its claims mean.
            tokens: verifies the issuer's tokens.
        """
        self._settings = settings
        self._issuer = jwt.issuer
        self._tokens = tokens
        self._endpoints = IssuerEndpoints(jwt)
        self.limits = LoginLimits()

    @property
    def name(self) -> str:
        """What people call the issuer."""
        return self._settings.name or urlsplit(self._issuer).hostname or self._issuer

    async def address(self, login: PendingLogin, redirect_uri: str) -> str:
        """Returns where the browser begins a login at the issuer.

        Raises:
            LoginRefused: the issuer is not available.
        """
        endpoint = (await self._known_endpoints()).authorization
        parameters = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": redirect_uri,
            "scope": self._settings.scopes,
            "state": login.state,
            "nonce": login.nonce,
            "code_challenge": login.challenge,
            "code_challenge_method": "S256",
        }
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(parameters)}"

    async def caller(self, login: PendingLogin, redirect_uri: str, code: str, iss: str | None) -> Caller:
        """Returns who logged in.

        Args:
            login: the login to which the issuer answers.
            redirect_uri: the address to which it sent the browser.
            code: the code of its answer.
            iss: the issuer that the answer names; None if it names none.

        Raises:
            LoginRefused: the login fails.
        """
        endpoints = await self._known_endpoints()
        if iss != self._issuer and (iss is not None or endpoints.names_itself):
            raise LoginRefused(Refusal.INVALID, "the answer is not one of this issuer: iss")
        id_token = await self._id_token(endpoints, login, redirect_uri, code)
        try:
            caller = await self._tokens.caller_of_login(id_token, self._settings.client_id, login.nonce)
        except IssuerUnavailable as error:
            raise LoginRefused(Refusal.UNAVAILABLE, str(error)) from None
        except JwtRefused as refused:
            raise LoginRefused(Refusal.INVALID, f"the ID token is not valid: {refused}") from None
        if not caller.scopes:
            raise LoginRefused(Refusal.NO_SCOPES, f"the ID token of {caller.name} gives no scope")
        return caller

    async def _known_endpoints(self) -> Endpoints:
        try:
            return await self._endpoints.get()
        except IssuerUnavailable as error:
            raise LoginRefused(Refusal.UNAVAILABLE, str(error)) from None

    async def _id_token(self, endpoints: Endpoints, login: PendingLogin, redirect_uri: str, code: str) -> str:
        """Exchanges a code for an ID token.

        Raises:
            LoginRefused: the issuer refuses the code, or its answer does not arrive or has another form.
        """
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": login.verifier,
        }
        try:
            return await self._exchanged(endpoints, form)
        except TimeoutError:
            raise LoginRefused(Refusal.UNAVAILABLE, "the token endpoint does not answer in time") from None
        except UNREADABLE as error:  # its text may quote what was sent
            detail = f"the token endpoint cannot be used: {type(error).__name__}"
            raise LoginRefused(Refusal.UNAVAILABLE, detail) from None

    async def _exchanged(self, endpoints: Endpoints, form: dict[str, str]) -> str:
        headers, credentials = self._authentication(endpoints)
        async with (
            client() as session,
            session.post(
                endpoints.token, data=form | credentials, headers=headers, allow_redirects=False
            ) as response,
        ):
            if response.status != 200 and not 400 <= response.status < 500:
                raise LoginRefused(Refusal.UNAVAILABLE, f"the token endpoint answers {response.status}")
            answer = await object_in(response)
        if response.status != 200:
            raise LoginRefused(
                Refusal.REFUSED, f"the token endpoint answers {error_code(answer.get('error'))}"
            )
        id_token = answer.get("id_token")
        if not isinstance(id_token, str):
            raise LoginRefused(Refusal.INVALID, "the token endpoint sends no ID token")
        return id_token

    def _authentication(self, endpoints: Endpoints) -> tuple[dict[str, str], dict[str, str]]:
        """Returns how the client authenticates: headers and fields of the form (RFC 6749, section 2.3.1)."""
        headers, id_, secret = (
            {"Accept": "application/json"},
            self._settings.client_id,
            self._settings.client_secret,
        )
        if not secret:
            return headers, {"client_id": id_}
        if not endpoints.takes_basic:
            return headers, {"client_id": id_, "client_secret": secret}
        pair = f"{quote_plus(id_)}:{quote_plus(secret)}"
        return headers | {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}, {}
