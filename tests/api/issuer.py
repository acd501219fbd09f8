"""An issuer of JWTs: serves its discovery document and its keys, and signs tokens."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

AUDIENCE = "unspool"


@dataclass
class Issuer:
    """An issuer at a URL of this machine."""

    url: str = ""
    keys: list[Any] = field(default_factory=lambda: [rsa_key("one")])
    discovery: dict[str, Any] = field(default_factory=dict)
    """Replaces members of the discovery document."""
    away: bool = False
    fetches: int = 0

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
        found = {"issuer": self.url, "jwks_uri": f"{self.url}/keys"} | self.discovery
        return web.json_response(found)

    async def jwks(self, _: web.Request) -> web.Response:
        """Serves the public keys."""
        return web.json_response(KeySet(self.keys).as_dict(private=False))


def rsa_key(kid: str) -> RSAKey:
    """Makes a key."""
    return RSAKey.generate_key(2048, {"kid": kid})


@asynccontextmanager
async def run_issuer() -> AsyncIterator[Issuer]:
    """Runs an issuer until the block ends."""
    issuer = Issuer()
    app = web.Application()
    app.router.add_get("/.well-known/openid-configuration", issuer.document)
    app.router.add_get("/keys", issuer.jwks)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        issuer.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield issuer
    finally:
        await runner.cleanup()
