"""Logins with forged ID tokens, and with a token endpoint that is hostile."""

import asyncio
import base64
import gzip
import json
import time

import pytest
from aiohttp import web
from joserfc import jws, jwt
from joserfc.jwk import OctKey
from tests.api.issuer import AUDIENCE, CLIENT, rsa_key
from tests.api.issuer_flow import agree, begin, come_back, login_at, reason, refused, session_of

from unspool.api.authentication import failure_limit, issuer_documents


@pytest.fixture
async def locked(store, running_api, issuer, later_clock, monkeypatch):
    """An API with logins at the issuer. Failures have no limit."""
    monkeypatch.setattr(failure_limit, "BURST", 1000)
    async with running_api(store, **login_at(issuer, later_clock)) as running:
        yield running


async def answered(api, issuer, make):
    """Logs in with the ID token that is made for the nonce of the login; returns the last response."""
    flow = await begin(api)
    token = make(flow.asked["nonce"])

    async def exchange():
        return web.json_response({"id_token": token})

    issuer.token_answer = exchange
    return await come_back(api, flow, await agree(api, flow))


def part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


async def test_forged_id_tokens_are_refused(locked, issuer):
    now, stranger, other = int(time.time()), rsa_key("one"), rsa_key("two")
    public = stranger.as_dict(private=False)

    def good(nonce, key=None, header=None, **claims):
        return issuer.token(key, header, **({"aud": CLIENT, "iat": now, "nonce": nonce} | claims))

    def with_header(header, signature=None):
        def make(nonce):
            _, payload, own = good(nonce).split(".")
            return f"{part(header)}.{payload}.{own if signature is None else signature}"

        return make

    def with_secret(form):
        def make(nonce):
            key = OctKey.import_key(form(issuer.keys[0]))
            claims = {"iss": issuer.url, "aud": CLIENT, "sub": "eve", "exp": now + 86_400, "iat": now}
            return jwt.encode({"alg": "HS256", "kid": "one"}, claims | {"nonce": nonce, "tenant": "*"}, key)

        return make

    def with_other_claims(nonce):
        header, payload, signature = good(nonce).split(".")
        claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
        return f"{header}.{part(claims | {'scope': 'unspool:admin'})}.{signature}"

    def signed(payload):
        return lambda _: jws.serialize_compact({"alg": "RS256", "kid": "one"}, payload, issuer.keys[0])

    forged = [
        with_header({"alg": "none"}, ""),
        with_header({"alg": "None", "kid": "one"}, ""),
        with_header({"alg": "none", "kid": "one"}),
        with_header({"alg": "HS256", "kid": "one"}),
        with_header({"alg": "PS256", "kid": "one"}),
        with_header({"kid": "one"}),
        with_header([]),
        with_header({"alg": "RS256", "kid": "one", "crit": 7}),
        with_header({"alg": "RS256", "kid": "one", "b64": False, "crit": ["b64"]}),
        with_secret(lambda key: key.as_pem(private=False).hex()),
        with_secret(lambda key: base64.b64encode(key.as_der(private=False)).decode()),
        with_secret(lambda key: key.as_dict(private=False)["n"]),
        lambda nonce: good(nonce, stranger),
        lambda nonce: good(nonce, other),
        lambda nonce: good(nonce, stranger, {"jwk": public}),
        lambda nonce: good(nonce, stranger, {"jku": "https://evil.example/keys"}),
        lambda nonce: good(nonce, stranger, {"x5u": "https://evil.example/certificate"}),
        lambda nonce: good(nonce, stranger, {"kid": "../../../../dev/null"}),
        lambda nonce: good(nonce, stranger, {"kid": "' or 1=1 --"}),
        lambda nonce: good(nonce, stranger, {"kid": ""}),
        with_other_claims,
        lambda nonce: f"{good(nonce)}.",
        lambda nonce: f"{good(nonce)}.a.b",
        lambda nonce: f" {good(nonce)}",
        lambda nonce: good(nonce).replace(".", ".\n", 1),
        signed(b"[]"),
        signed(b"{"),
        signed(b"[" * 100_000),
    ]
    for make in forged:
        response = await answered(locked, issuer, make)
        assert reason(response)[0] == "invalid", make("nonce")
    assert session_of(await answered(locked, issuer, good))


def changed(now):
    """Claims that an ID token has in place of its own, and whether it is accepted."""
    return [
        ({"exp": now - 600}, False),
        ({"exp": now - 1}, True),  # clocks may differ by a minute
        ({"exp": "never"}, False),
        ({"exp": -1}, False),
        ({"exp": 10**20}, False),
        ({"nbf": now + 86_400}, False),
        ({"nbf": "now"}, False),
        ({"iat": now + 86_400}, False),
        ({"iat": "now"}, False),
        ({"iat": [now]}, False),
        ({"aud": []}, False),
        ({"aud": [[CLIENT]]}, False),
        ({"aud": {CLIENT: 1}}, False),
        ({"aud": f"{CLIENT} other"}, False),
        ({"aud": CLIENT.upper()}, False),
        ({"aud": [CLIENT, AUDIENCE]}, False),
        ({"aud": [CLIENT, CLIENT]}, False),
        ({"aud": [AUDIENCE, CLIENT], "azp": AUDIENCE}, False),
        ({"aud": [AUDIENCE, CLIENT], "azp": [CLIENT]}, False),
        ({"aud": AUDIENCE, "azp": CLIENT}, False),
        ({"azp": ""}, False),
        ({"nonce": ""}, False),
        ({"nonce": ["nonce"]}, False),
        ({"sub": ""}, False),
        ({"sub": ["ada"]}, False),
        ({"iss": "https://login.example.com"}, False),
        ({"iss": ["https://login.example.com"]}, False),
        ({"tenant": ["shop"]}, False),
    ]


async def test_edges_of_claims(locked, issuer):
    for n in range(len(changed(0))):
        claims, is_accepted = changed(int(time.time()))[n]
        issuer.claims = claims
        flow = await begin(locked)
        response = await come_back(locked, flow, await agree(locked, flow))
        assert bool(session_of(response)) is is_accepted, claims
        if not is_accepted:
            assert reason(response)[0] == "invalid", claims


async def test_a_token_of_another_login_is_refused(locked, issuer):
    """The code and the ID token of one login do not end another one, also if the issuer forgets PKCE."""
    victim = await begin(locked)
    token = issuer.token(aud=CLIENT, iat=int(time.time()), nonce=victim.asked["nonce"])
    assert reason(await answered(locked, issuer, lambda _: token))[0] == "invalid"


async def test_a_token_endpoint_that_sends_too_much(locked, issuer):
    bomb = gzip.compress(b'{"id_token": "' + b"a" * (64 << 20) + b'"}')

    async def exchange():
        headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
        return web.Response(body=bomb, headers=headers)

    issuer.token_answer = exchange
    assert await refused(locked) == "unavailable"


async def test_a_token_endpoint_that_sends_slowly(locked, issuer, monkeypatch):
    flow = await begin(locked)
    answer = await agree(locked, flow)
    monkeypatch.setattr(issuer_documents, "FETCH_SECONDS", 0.3)
    is_over = asyncio.Event()

    async def drip():
        while not is_over.is_set():
            yield b" "
            await asyncio.sleep(0.05)

    async def exchange():
        return web.Response(body=drip())

    issuer.token_answer = exchange
    assert reason(await come_back(locked, flow, answer))[0] == "unavailable"
    is_over.set()


async def test_documents_do_not_come_by_redirects(locked, issuer):
    issuer.discovery = {"jwks_uri": f"{issuer.url}/moved"}
    assert await refused(locked) == "unavailable"
    assert issuer.exchanges == 1
