"""Documents of an issuer: discovery documents and keys that cannot be used, and issuers that are slow."""

import asyncio

import pytest
from joserfc.jwk import OctKey
from tests.api.issuer import AUDIENCE, CLIENT, rsa_key
from tests.api.issuer_flow import begin, login_at, reason
from tests.api.keys import bearer

from unspool.api.authentication import refetched_document
from unspool.api.authentication.issuer_documents import BadDocument
from unspool.api.authentication.issuer_login import IssuerLogin
from unspool.api.authentication.jwt_settings import JwtSettings
from unspool.api.authentication.oidc_settings import OidcSettings
from unspool.api.authentication.refetched_document import RefetchedDocument
from unspool.eventstore.settings import BadSetting

DEADLINE_SECONDS = 60


@pytest.fixture
async def locked(store, running_api, issuer, later_clock):
    """An API with logins at the issuer."""
    async with running_api(store, **login_at(issuer, later_clock)) as running:
        yield running


BAD_URLS = [
    None,
    7,
    [],
    ["https://login.example.com"],
    {"a": 1},
    "",
    "login.example.com",
    "//login.example.com",
    "https:",
    "https:///token",
    "https://:443/token",
    "https://login.example.com:99999/",
    "https://[::1/",
    "https://user@login.example.com/",
    "https://user:password@login.example.com/",
    "https://user:password@login.example.com:99999/",
    "https://user:password@login.example.com/\n",
    "ftp://user:password@login.example.com/",
    "https://@login.example.com/",
    "https://login.example.com/#",
    "https://login.example.com/#fragment",
    "https://login.example.com/a\r\nSet-Cookie: a=b",
    "https://login.example.com/\n",
    "https://login.example.com/a b",
    "https://login.example.com/\x00",
    "https://login.example.com/é",
    "https://login.example.com/" + "x" * 2048,
    "http://login.example.com/",
    "http://127.0.0.1@login.example.com/",
    "http://169.254.169.254/token",
    "javascript:alert(1)",
    "file:///etc/passwd",
]


async def unavailable(api, issuer, discovery):
    """Begins a login with a changed discovery document, which does not suffice."""
    issuer.discovery = discovery
    response, _ = await api.call("GET", "/session/login?next=/system", 302, allow_redirects=False)
    assert reason(response) == ("unavailable", "/system"), discovery
    assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint"])
async def test_endpoints_that_are_no_safe_urls(locked, issuer, caplog, name):
    for url in BAD_URLS:
        caplog.clear()
        await unavailable(locked, issuer, {name: url})
        [record] = [each for each in caplog.records if getattr(each, "action", "") == "discovery_unavailable"]
        assert f"cannot be used: BadDocument: {name} must" in record.getMessage(), url
        assert "password@" not in record.getMessage()
    issuer.discovery = {}
    await begin(locked)


async def test_other_members_of_a_discovery_document(locked, issuer):
    for discovery in (
        {"issuer": "https://evil.example"},
        {"issuer": f"{issuer.url}/"},
        {"issuer": None},
        {"issuer": [issuer.url]},
        {"token_endpoint_auth_methods_supported": 7},
        {"token_endpoint_auth_methods_supported": "client_secret_basic"},
        {"token_endpoint_auth_methods_supported": None},
    ):
        await unavailable(locked, issuer, discovery)


async def test_addresses_of_keys_that_are_no_safe_urls(locked, issuer):
    for url in BAD_URLS:
        issuer.discovery = {"jwks_uri": url}
        await locked.get("/session", 503, headers=bearer(issuer.token()))


async def test_keys_that_cannot_be_used_are_left_out(locked, issuer):
    good = issuer.keys[0]
    odd = [7, None, [], {}, {"kty": "AKP"}, {"kty": ["RSA"]}, {"kty": "RSA", "n": 7, "e": None}]
    secret = OctKey.generate_key(256, {"kid": "secret"}).as_dict(private=True)
    for keys in (None, 7, {}, {"a": 1}, [], odd, [secret]):
        issuer.jwks_answer = {"keys": keys}
        await locked.get("/session", 503, headers=bearer(issuer.token()))
    issuer.jwks_answer = {"keys": [*odd, secret, good.as_dict(private=False)]}
    await locked.get("/session", headers=bearer(issuer.token()))
    await locked.get("/session", 401, headers=bearer(issuer.token(rsa_key("secret"))))


def test_settings_take_the_same_urls():
    for url in BAD_URLS[5:]:
        with pytest.raises(BadSetting, match="UNSPOOL_JWT_ISSUER must") as raised:
            JwtSettings(issuer=url or "x", audience=AUDIENCE)
        assert "password@" not in str(raised.value)


async def test_an_issuer_that_is_away_lets_known_endpoints_be(store, running_api, issuer, later_clock):
    parts = login_at(issuer, later_clock)
    jwt = JwtSettings(issuer=issuer.url, audience=AUDIENCE, jwks_seconds=0.0)
    parts["login"] = IssuerLogin(OidcSettings(client_id=CLIENT), jwt, parts["tokens"])
    async with running_api(store, **parts) as running:
        await begin(running)
        issuer.away = True
        await begin(running)
        assert issuer.fetches == 2


class Source:
    """Where a document comes from, as slowly as a test says."""

    def __init__(self, seconds, **clock):
        self.go_on, self.begun, self.state = asyncio.Event(), asyncio.Event(), "first"
        self.fetches = 0
        self.document = RefetchedDocument(self.fetch, seconds, problem="it is away", action="test", **clock)

    async def fetch(self):
        self.fetches += 1
        self.begun.set()
        await self.go_on.wait()
        if not self.state:
            raise BadDocument("no state")
        return self.state


async def test_callers_share_one_fetch_and_fail_together():
    source = Source(300.0)
    source.state = ""
    callers = [asyncio.ensure_future(source.document.newest()) for _ in range(5)]
    await source.begun.wait()
    late = asyncio.ensure_future(source.document.newest())
    source.go_on.set()
    assert await asyncio.gather(*callers, late) == [None] * 6
    assert await source.document.newest() is None  # in the pause
    assert source.fetches == 1


async def test_the_pause_begins_when_a_fetch_ends():
    now = 0.0
    source = Source(300.0, monotonic=lambda: now)
    source.state = ""
    caller = asyncio.ensure_future(source.document.newest())
    await source.begun.wait()
    now = 10.0
    source.go_on.set()
    assert await caller is None
    now = 19.0
    assert await source.document.newest() is None
    assert source.fetches == 1
    now, source.state = 20.0, "second"
    assert await source.document.newest() == "second"


async def test_the_last_state_is_served_while_a_fetch_takes_long(monkeypatch):
    monkeypatch.setattr(refetched_document, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(refetched_document, "PATIENCE_SECONDS", 0.0)
    source = Source(0.0)
    source.go_on.set()
    assert await source.document.newest() == "first"
    source.go_on.clear()
    source.state = "second"
    async with asyncio.timeout(DEADLINE_SECONDS):
        unknown = asyncio.ensure_future(source.document.newest(lambda state: state == "second"))
        for _ in range(3):
            assert await source.document.newest() == "first"
        assert not unknown.done()  # although it came first
        source.go_on.set()
        assert await unknown == "second"
    assert source.fetches == 2


async def test_a_new_state_is_waited_for_if_it_comes_soon(monkeypatch):
    monkeypatch.setattr(refetched_document, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(refetched_document, "PATIENCE_SECONDS", 600.0)
    source = Source(0.0)
    source.go_on.set()
    await source.document.newest()
    source.state = "second"
    assert await source.document.newest() == "second"


async def test_a_fetch_has_a_limit_of_time(monkeypatch):
    monkeypatch.setattr(refetched_document, "FETCH_SECONDS", 0.05)
    async with asyncio.timeout(DEADLINE_SECONDS):
        assert await Source(300.0).document.newest() is None
