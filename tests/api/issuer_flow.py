"""Logins at the issuer, step by step, as a browser goes through them."""

from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.api.issuer import AUDIENCE, CLIENT, run_issuer
from tests.api.keys import ON

from unspool.api.authentication import refetched_document
from unspool.api.authentication.issuer_login import IssuerLogin
from unspool.api.authentication.jwt_settings import JwtSettings
from unspool.api.authentication.oidc_settings import OidcSettings
from unspool.api.authentication.tokens import Tokens
from unspool.eventstore.clock import SystemClock

CALLBACK = "/api/v1/session/callback"


class LaterClock(SystemClock):
    """A clock that tests move forward."""

    later = 0

    def now(self):
        return super().now() + self.later


@pytest.fixture
async def issuer(monkeypatch):
    """A running issuer. Its documents are fetched without pauses."""
    monkeypatch.setattr(refetched_document, "PAUSE_SECONDS", 0.0)
    async with run_issuer() as running:
        yield running


@pytest.fixture
def later_clock():
    """The clock of the API."""
    return LaterClock()


def login_at(issuer, clock, **settings):
    """Returns what an API at which browsers log in at the issuer is made of."""
    jwt = JwtSettings(issuer=issuer.url, audience=AUDIENCE)
    tokens = Tokens(jwt, clock)
    login = IssuerLogin(OidcSettings(client_id=CLIENT, **settings), jwt, tokens)
    return {"authentication": ON, "clock": clock, "tokens": tokens, "login": login}


@dataclass
class Flow:
    """A login that a browser has begun."""

    cookie: dict[str, str]
    set_cookie: str
    asked: dict[str, str]
    """What the browser brings to the issuer."""
    address: str


async def begin(api, page="/executions/order-7", **headers):
    response, _ = await api.call(
        "GET", "/session/login", 302, params={"next": page}, headers=headers, allow_redirects=False
    )
    address, set_cookie = response.headers["Location"], response.headers["Set-Cookie"]
    asked = {name: value for name, [value] in parse_qs(urlsplit(address).query).items()}
    return Flow({"Cookie": set_cookie.partition(";")[0]}, set_cookie, asked, address)


async def agree(api, flow):
    """Logs in at the issuer; returns the parameters with which it sends the browser back."""
    async with api.session.get(flow.address, allow_redirects=False) as response:
        assert response.status == 302
        address = urlsplit(response.headers["Location"])
    assert address.path == CALLBACK
    return {name: value for name, [value] in parse_qs(address.query).items()}


async def come_back(api, flow, answer, **headers):
    response, _ = await api.call(
        "GET",
        "/session/callback",
        302,
        params=answer,
        headers=flow.cookie | headers,
        allow_redirects=False,
    )
    return response


def session_of(response):
    """Returns the cookie of the session that an answer starts; None if it starts none."""
    cookies = [cookie.partition(";")[0] for cookie in response.headers.getall("Set-Cookie", [])]
    found = [cookie for cookie in cookies if "unspool_session=usk_" in cookie]
    return {"Cookie": found[0]} if found else None


def reason(response):
    """Returns why a login failed, and the page that was asked for."""
    assert session_of(response) is None
    address = urlsplit(response.headers["Location"])
    assert (address.scheme, address.netloc, address.path) == ("", "", "/login")
    values = parse_qs(address.query)
    return values["error"][0], values["next"][0]


async def refused(api, answer=None, headers=None, **changes):
    """Logs in with a changed answer of the issuer; returns why that fails."""
    flow = await begin(api)
    values = {**(answer or await agree(api, flow)), **changes}
    given = {name: value for name, value in values.items() if value is not None}
    return reason(await come_back(api, flow, given, **(headers or {})))[0]
