"""An issuer of JWTs: serves its discovery document and its keys, signs tokens, and logs people in."""

import time
from base64 import b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import unquote_plus, urlencode
from uuid import uuid4

from aiohttp import web
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

AUDIENCE = "unspool"

CLIENT = "dashboard"


@dataclass
class Issuer:
    """An issuer at a URL of this machine."""

    url: str = ""
    keys: list[Any] = field(default_factory=lambda: [rsa_key("one")])
    discovery: dict[str, Any] = field(default_factory=dict)
    """Replaces members of the discovery document."""
    jwks_answer: dict[str, Any] | None = None
    """Replaces the document with the keys."""
    away: bool = False
    fetches: int = 0
    secret: str = ""
    """The secret of its client; empty for a public one."""
    redirect_uri: str = ""
    """The registered one; empty for any."""
    asks: bool = False
    """Whether it shows a page to agree on; else it answers at once."""
    claims: dict[str, Any] = field(default_factory=dict)
    """Replaces claims of ID tokens."""
    token_answer: Callable[[], Awaitable[web.StreamResponse]] | None = None
    """Replaces the answer of the token endpoint."""
    exchanges: int = 0
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    """Requests for which a code was given out that was not yet used."""

    def token(self, key: Any = None, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """Signs a token that is valid, unless the arguments say otherwise; a claim of None is left out."""
        key, now = key or self.keys[0], int(time.time())
        values = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "ada",
            "exp": now + 600,
            "scope": "openid unspool:operate",
            "tenant": "shop",
        } | claims
        algorithm = "ES256" if isinstance(key, ECKey) else "RS256"
        protected = {"alg": algorithm, "kid": key.kid} | (header or {})
        return jwt.encode(protected, {k: v for k, v in values.items() if v is not None}, key)

    async def document(self, _: web.Request) -> web.Response:
        """Serves `/.well-known/openid-configuration`."""
        self.fetches += 1
        if self.away:
            raise web.HTTPServiceUnavailable
        found = {
            "issuer": self.url,
            "jwks_uri": f"{self.url}/keys",
            "authorization_endpoint": f"{self.url}/authorize?tenant=one",
            "token_endpoint": f"{self.url}/token",
        }
        return web.json_response(found | self.discovery)

    async def jwks(self, _: web.Request) -> web.Response:
        """Serves the public keys."""
        if self.jwks_answer is not None:
            return web.json_response(self.jwks_answer)
        return web.json_response(KeySet(self.keys).as_dict(private=False))

    async def moved(self, _: web.Request) -> web.Response:
        """Sends its reader to the keys."""
        raise web.HTTPFound(f"{self.url}/keys")

    async def authorize(self, request: web.Request) -> web.Response:
        """Serves the page where people log in (OpenID Connect Core 1.0, section 3.1.2)."""
        asked = dict(request.query)
        assert asked["tenant"] == "one"
        assert (asked["response_type"], asked["client_id"]) == ("code", CLIENT)
        assert "openid" in asked["scope"].split()
        assert asked["code_challenge_method"] == "S256"
        assert self.redirect_uri in ("", asked["redirect_uri"])
        code = uuid4().hex
        self.codes[code] = asked
        agreed = self._answer(asked, code=code)
        if not self.asks:
            raise web.HTTPFound(agreed)
        denied = self._answer(asked, error="access_denied", error_description="<b>no</b>")
        links = f'<a href="{_html(agreed)}">Agree</a> <a href="{_html(denied)}">Deny</a>'
        page = f'<title>Issuer</title><link rel="icon" href="data:,">{links}'
        return web.Response(text=page, content_type="text/html")

    async def exchange(self, request: web.Request) -> web.StreamResponse:
        """Serves the token endpoint (section 3.1.3)."""
        self.exchanges += 1
        if self.token_answer is not None:
            return await self.token_answer()
        form = {name: str(value) for name, value in (await request.post()).items()}
        if not self._is_client(request, form):
            return web.json_response({"error": "invalid_client"}, status=401)
        code = form["code"]
        asked = self.codes.pop(code, None)
        challenge = urlsafe_b64encode(sha256(form["code_verifier"].encode()).digest()).decode().rstrip("=")
        is_valid = (
            asked is not None
            and form["grant_type"] == "authorization_code"
            and challenge == asked["code_challenge"]
            and form["redirect_uri"] == asked["redirect_uri"]
        )
        if not is_valid or asked is None:
            return web.json_response({"error": "invalid_grant", "error_description": code}, status=400)
        claims = {"aud": CLIENT, "iat": int(time.time()), "nonce": asked["nonce"]} | self.claims
        answer = {"access_token": "opaque", "token_type": "Bearer", "id_token": self.token(**claims)}
        return web.json_response(answer)

    def _is_client(self, request: web.Request, form: dict[str, str]) -> bool:
        given = form.get("client_id"), form.get("client_secret", "")
        scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
        if scheme == "Basic":
            id_, _, secret = b64decode(encoded).decode().partition(":")
            given = unquote_plus(id_), unquote_plus(secret)
        return given == (CLIENT, self.secret)

    def _answer(self, asked: dict[str, str], **values: str) -> str:
        return f"{asked['redirect_uri']}?{urlencode(values | {'state': asked['state']})}"


def _html(address: str) -> str:
    return address.replace("&", "&amp;")


def rsa_key(kid: str) -> RSAKey:
    """Makes a key."""
    return RSAKey.generate_key(2048, {"kid": kid})


@asynccontextmanager
async def run_issuer(host: str = "127.0.0.1") -> AsyncIterator[Issuer]:
    """Runs an issuer until the block ends. For browsers, `localhost` is another site than `127.0.0.1`."""
    issuer = Issuer()
    app = web.Application()
    app.router.add_get("/.well-known/openid-configuration", issuer.document)
    app.router.add_get("/keys", issuer.jwks)
    app.router.add_get("/moved", issuer.moved)
    app.router.add_get("/authorize", issuer.authorize)
    app.router.add_post("/token", issuer.exchange)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        issuer.url = f"http://{host}:{runner.addresses[0][1]}"
        yield issuer
    finally:
        await runner.cleanup()
