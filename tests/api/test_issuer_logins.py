"""Logins at an issuer: the authorization code flow, and all that is refused in it."""

import asyncio
import base64
import json
import time
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web
from tests.api.issuer import AUDIENCE, CLIENT, rsa_key, run_issuer
from tests.api.keys import ON, bearer

from unspool.api.authentication import (
    failure_limit,
    issuer_documents,
    issuer_login,
    refetched_document,
)
from unspool.api.authentication.issuer_login import IssuerLogin
from unspool.api.authentication.jwt_settings import JwtSettings
from unspool.api.authentication.oidc_settings import OidcSettings
from unspool.api.authentication.pending_login import SECONDS
from unspool.api.authentication.settings import AuthenticationSettings
from unspool.api.authentication.tokens import Tokens
from unspool.eventstore.clock import SystemClock
from unspool.eventstore.settings import BadSetting

CALLBACK = "/api/v1/session/callback"


class LaterClock(SystemClock):
    """A clock that tests move forward."""

    later = 0

    def now(self):
        return super().now() + self.later


@pytest.fixture
async def issuer(monkeypatch):
    monkeypatch.setattr(refetched_document, "PAUSE_SECONDS", 0.0)
    async with run_issuer() as running:
        yield running


@pytest.fixture
def clock():
    return LaterClock()


def login_at(issuer, clock, **settings):
    """Returns what an API at which browsers log in at the issuer is made of."""
    jwt = JwtSettings(issuer=issuer.url, audience=AUDIENCE)
    tokens = Tokens(jwt, clock)
    login = IssuerLogin(OidcSettings(client_id=CLIENT, **settings), jwt, tokens)
    return {"authentication": ON, "clock": clock, "tokens": tokens, "login": login}


@pytest.fixture
async def locked(store, running_api, issuer, clock):
    """An API with logins at the issuer."""
    async with running_api(store, **login_at(issuer, clock)) as running:
        yield running


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


async def come_back(api, flow, answer):
    response, _ = await api.call(
        "GET", "/session/callback", 302, params=answer, headers=flow.cookie, allow_redirects=False
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


async def refused(api, answer=None, **changes):
    """Logs in with a changed answer of the issuer; returns why that fails."""
    flow = await begin(api)
    values = {**(answer or await agree(api, flow)), **changes}
    given = {name: value for name, value in values.items() if value is not None}
    return reason(await come_back(api, flow, given))[0]


async def test_a_login_starts_a_session_and_shows_the_page(locked, issuer):
    flow = await begin(locked, "/executions?tag=a%3Db&status=failed")
    assert flow.asked["redirect_uri"] == f"{locked.url}{CALLBACK}"
    assert (flow.asked["scope"], flow.asked["tenant"]) == ("openid profile email", "one")
    for attribute in ("HttpOnly", "SameSite=lax", "Path=/", "Max-Age=600"):
        assert attribute in flow.set_cookie

    response = await come_back(locked, flow, await agree(locked, flow))

    assert response.headers["Location"] == "/executions?tag=a%3Db&status=failed"
    [session_cookie] = [each for each in response.headers.getall("Set-Cookie") if "unspool_session" in each]
    assert "SameSite=strict" in session_cookie
    assert "HttpOnly" in session_cookie
    [login_cookie] = [each for each in response.headers.getall("Set-Cookie") if "unspool_login" in each]
    assert "Max-Age=0" in login_cookie
    who = await locked.get("/session", headers=session_of(response))
    assert (who["name"], who["tenant"]) == ("jwt:ada", "shop")
    assert who["scopes"] == ["read", "start", "operate"]


async def test_a_session_is_longer_than_the_id_token(locked, issuer):
    issuer.claims = {"exp": int(time.time()) + 5}
    flow = await begin(locked)
    response = await come_back(locked, flow, await agree(locked, flow))
    ends = datetime.fromisoformat((await locked.get("/session", headers=session_of(response)))["expiresAt"])
    assert ends.timestamp() > time.time() + ON.session_seconds - 3600


async def test_a_client_with_a_secret(store, running_api, issuer, clock):
    issuer.secret = "s3cret &:%ü"
    for methods in (["client_secret_basic", "client_secret_post"], ["client_secret_post"], None):
        issuer.discovery = {"token_endpoint_auth_methods_supported": methods} if methods else {}
        async with running_api(store, **login_at(issuer, clock, client_secret=issuer.secret)) as running:
            flow = await begin(running)
            assert session_of(await come_back(running, flow, await agree(running, flow)))
    async with running_api(store, **login_at(issuer, clock, client_secret="wrong")) as running:
        assert await refused(running) == "refused"


async def test_a_401_says_where_browsers_log_in(locked, store, running_api, issuer, clock):
    expected = {"path": "/api/v1/session/login", "name": "127.0.0.1"}
    assert (await locked.get("/session", 401))["login"] == expected
    assert (await locked.get("/executions", 401, headers=bearer("usk_x")))["login"] == expected
    async with running_api(store, **login_at(issuer, clock, name="The shop")) as running:
        assert (await running.get("/session", 401))["login"]["name"] == "The shop"
    async with running_api(store, authentication=ON) as running:
        assert "login" not in await running.get("/session", 401)
        await running.get("/session/login", 404)
        await running.get("/session/callback", 404)


async def test_only_the_browser_that_began_a_login_finishes_it(locked, issuer):
    flow, other = await begin(locked), await begin(locked)
    answer = await agree(locked, flow)
    without = replace(flow, cookie={})
    tossed = replace(flow, cookie={"Cookie": "unspool_login=a.1.Lw"})
    for changed, values in (
        (without, answer),
        (tossed, answer),
        (other, answer),
        (flow, answer | {"state": other.asked["state"]}),
        (flow, answer | {"state": "é"}),
        (flow, {"code": answer["code"]}),
        (flow, {"error": "access_denied", "state": "x"}),
        (flow, [*answer.items(), ("state", "other")]),
    ):
        response = await come_back(locked, changed, values)
        assert reason(response) == ("expired", "/")
        assert "Set-Cookie" not in response.headers
    assert issuer.exchanges == 0
    assert session_of(await come_back(locked, flow, answer))


async def test_the_cookie_cannot_be_changed(locked, issuer):
    flow = await begin(locked)
    answer = await agree(locked, flow)
    name, _, value = flow.cookie["Cookie"].partition("=")
    secret, started_at, page = value.split(".")
    elsewhere = base64.urlsafe_b64encode(b"//evil.example").decode().rstrip("=")
    settings = base64.urlsafe_b64encode(b"/system").decode().rstrip("=")
    for changed in (
        f"{secret}.{int(started_at) + 1}.{page}",
        f"{secret}.{started_at}.{settings}",
        f"{secret}.{started_at}.{elsewhere}",
        f"{secret}.{started_at}.AAAAA",
        f"{secret}.{started_at}._w",
        f"{'A' * 43}.{started_at}.{page}",
    ):
        wrong = replace(flow, cookie={"Cookie": f"{name}={changed}"})
        assert reason(await come_back(locked, wrong, answer)) == ("expired", "/")
    assert issuer.exchanges == 0


async def test_an_answer_is_used_once(locked, issuer):
    flow = await begin(locked)
    answer = await agree(locked, flow)
    assert session_of(await come_back(locked, flow, answer))
    assert reason(await come_back(locked, replace(flow, cookie={}), answer))[0] == "expired"
    assert reason(await come_back(locked, flow, answer)) == ("refused", "/executions/order-7")


async def test_the_issuer_checks_who_began_the_login(locked, issuer):
    """Another browser's code is refused with one's own state, because the verifier is another one."""
    victim, attacker = await begin(locked), await begin(locked)
    stolen = (await agree(locked, victim))["code"]
    answer = {"code": stolen, "state": attacker.asked["state"]}
    assert reason(await come_back(locked, attacker, answer))[0] == "refused"


async def test_a_login_has_a_limit_of_time(locked, issuer, clock):
    flow = await begin(locked)
    answer = await agree(locked, flow)
    clock.later = SECONDS * 1000 + 1000
    response = await come_back(locked, flow, answer)
    assert reason(response) == ("expired", "/executions/order-7")
    assert issuer.exchanges == 0


REFUSED_ANSWERS = [
    ({"error": "access_denied", "code": None}, "denied"),
    ({"error": "server_error", "error_description": "<script>alert(1)</script>"}, "refused"),
    ({"error": "</script><script>alert(1)</script>"}, "refused"),
    ({"code": None}, "invalid"),
    ({"code": "unknown"}, "refused"),
    ({"code": "x" * 9000}, "refused"),
    ({"iss": "https://evil.example"}, "invalid"),
]


async def test_answers_that_are_refused(locked):
    for changes, expected in REFUSED_ANSWERS:
        assert await refused(locked, **changes) == expected, changes


async def test_no_parameter_is_there_twice(locked, issuer):
    for name, value in (("code", "other"), ("iss", issuer.url), ("state", None), ("x", "1")):
        flow = await begin(locked)
        answer = await agree(locked, flow) | {"iss": issuer.url, "x": "1"}
        twice = [(name, value or answer["state"]), *answer.items()]
        assert reason(await come_back(locked, flow, twice))[0] == "invalid", name
    assert issuer.exchanges == 0


async def test_an_issuer_that_names_itself_in_answers(locked, issuer):
    issuer.discovery = {"authorization_response_iss_parameter_supported": True}
    assert await refused(locked) == "invalid"
    flow = await begin(locked)
    answer = await agree(locked, flow)
    assert session_of(await come_back(locked, flow, answer | {"iss": issuer.url}))


ID_TOKENS = [
    ({"nonce": "other"}, "invalid"),
    ({"nonce": None}, "invalid"),
    ({"aud": AUDIENCE}, "invalid"),
    ({"aud": None}, "invalid"),
    ({"aud": [CLIENT, "other"]}, "invalid"),
    ({"aud": [CLIENT, "other"], "azp": "other"}, "invalid"),
    ({"azp": "other"}, "invalid"),
    ({"azp": [CLIENT]}, "invalid"),
    ({"iss": "https://evil.example"}, "invalid"),
    ({"exp": 1}, "invalid"),
    ({"exp": None}, "invalid"),
    ({"iat": None}, "invalid"),
    ({"sub": None}, "invalid"),
    ({"tenant": None}, "invalid"),
    ({"scope": "openid"}, "no-scopes"),
    ({"aud": [CLIENT], "azp": CLIENT}, None),
    ({"aud": [CLIENT, "other"], "azp": CLIENT}, None),
]


async def test_id_tokens(locked, issuer):
    for claims, expected in ID_TOKENS:
        issuer.claims = claims
        flow = await begin(locked)
        response = await come_back(locked, flow, await agree(locked, flow))
        if expected is None:
            assert session_of(response), claims
        else:
            assert reason(response)[0] == expected, claims


async def test_an_id_token_with_a_foreign_signature_is_refused(locked, issuer):
    flow = await begin(locked)
    answer = await agree(locked, flow)
    forged = issuer.token(rsa_key("one"), aud=CLIENT, iat=1, nonce=flow.asked["nonce"])

    async def exchange():
        return web.json_response({"id_token": forged})

    issuer.token_answer = exchange
    assert reason(await come_back(locked, flow, answer))[0] == "invalid"


def _always(response):
    async def answer():
        return response()

    return answer


TOKEN_ANSWERS = [
    (lambda: web.Response(status=500), "unavailable"),
    (lambda: web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}), "unavailable"),
    (lambda: web.Response(status=307, headers={"Location": "/token"}), "unavailable"),
    (lambda: web.Response(body=b" " * (issuer_documents.MAX_BYTES + 1)), "unavailable"),
    (lambda: web.Response(text="<html>"), "unavailable"),
    (lambda: web.json_response([]), "unavailable"),
    (lambda: web.json_response({"access_token": "a"}), "invalid"),
    (lambda: web.json_response({"id_token": 7}), "invalid"),
    (lambda: web.json_response({"id_token": "a.b.c"}), "invalid"),
    (lambda: web.json_response({"error": {"a": 1}}, status=403), "refused"),
]


async def test_answers_of_the_token_endpoint(locked, issuer):
    for exchanges, (answer, expected) in enumerate(TOKEN_ANSWERS, 1):
        issuer.token_answer = _always(answer)
        assert await refused(locked) == expected
        assert issuer.exchanges == exchanges


async def test_a_token_endpoint_that_does_not_answer(locked, issuer, monkeypatch):
    flow = await begin(locked)
    answer = await agree(locked, flow)
    monkeypatch.setattr(issuer_documents, "FETCH_SECONDS", 0.3)
    held = asyncio.Event()

    async def hang():
        await held.wait()
        return web.Response()

    issuer.token_answer = hang
    assert reason(await come_back(locked, flow, answer))[0] == "unavailable"
    held.set()


async def test_few_codes_are_exchanged_at_once(locked, issuer, monkeypatch):
    monkeypatch.setattr(issuer_login, "MOST_EXCHANGES", 1)
    held, reached = asyncio.Event(), asyncio.Event()

    async def wait():
        reached.set()
        await held.wait()
        return web.json_response({"error": "invalid_grant"}, status=400)

    first, second = await begin(locked), await begin(locked)
    answers = [await agree(locked, first), await agree(locked, second)]
    issuer.token_answer = wait
    waiting = asyncio.ensure_future(come_back(locked, first, answers[0]))
    await reached.wait()
    assert reason(await come_back(locked, second, answers[1]))[0] == "too-many"
    held.set()
    assert reason(await waiting)[0] == "refused"


async def test_failures_are_limited_like_wrong_credentials(locked, issuer, monkeypatch):
    monkeypatch.setattr(failure_limit, "SECONDS", 3600.0)
    reasons = [await refused(locked, code="unknown") for _ in range(failure_limit.BURST + 2)]
    assert reasons == ["refused"] * failure_limit.BURST + ["too-many"] * 2
    assert issuer.exchanges == failure_limit.BURST
    await locked.post("/session", 429, json={"token": "usk_x"})


WRONG_DISCOVERIES = [
    {"issuer": "https://evil.example"},
    {"authorization_endpoint": "javascript:alert(1)"},
    {"authorization_endpoint": None},
    {"token_endpoint": "http://169.254.169.254/token"},
    {"token_endpoint": "file:///etc/passwd"},
    {"token_endpoint_auth_methods_supported": 7},
]


async def test_a_discovery_document_that_cannot_be_used(locked, issuer):
    for discovery in WRONG_DISCOVERIES:
        issuer.discovery = discovery
        response, _ = await locked.call("GET", "/session/login?next=/system", 302, allow_redirects=False)
        assert reason(response) == ("unavailable", "/system"), discovery
    issuer.discovery = {}
    await begin(locked)


async def test_an_issuer_that_is_away_lets_known_endpoints_be(store, running_api, issuer, clock):
    parts = login_at(issuer, clock)
    jwt = JwtSettings(issuer=issuer.url, audience=AUDIENCE, jwks_seconds=0.0)
    parts["login"] = IssuerLogin(OidcSettings(client_id=CLIENT), jwt, parts["tokens"])
    async with running_api(store, **parts) as running:
        await begin(running)
        issuer.away = True
        await begin(running)
        assert issuer.fetches == 2


OTHER_PAGES = [
    "",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "https://evil.example",
    "javascript:alert(1)",
    "evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "/\r\nSet-Cookie: a=b",
    "/x//evil.example",
    "/..//evil.example",
    "/a b",
    "/é",
    "/#//evil.example",
    "/?a=\\evil",
    "/" + "x" * 1024,
]


async def test_only_pages_of_this_server_follow_a_login(locked):
    for page in OTHER_PAGES:
        response, _ = await locked.call(
            "GET", "/session/login", 422, params={"next": page}, allow_redirects=False
        )
        assert "Location" not in response.headers


async def test_pages_that_follow_a_login(locked):
    for page in ("/", "/system", "/workflows/", "/events?type=a[b]&x=//y", "/?" + "x" * 1022):
        flow = await begin(locked, page)
        assert len(flow.cookie["Cookie"]) < 4096
        response = await come_back(locked, flow, await agree(locked, flow))
        assert response.headers["Location"] == page


async def test_the_public_address_is_where_the_issuer_sends_browsers(store, running_api, issuer, clock):
    issuer.redirect_uri = f"https://unspool.example.com{CALLBACK}"
    settings = replace(ON, public_url="https://unspool.example.com")
    parts = login_at(issuer, clock) | {"authentication": settings}
    async with running_api(store, names="evil.example,127.0.0.1", **parts) as running:
        flow = await begin(running, Host="evil.example")
        assert flow.set_cookie.startswith("__Host-unspool_login=")
        assert "Secure" in flow.set_cookie
        response = await come_back(running, flow, await agree(running, flow))
        assert "__Host-unspool_session=" in session_of(response)["Cookie"]
        plain = replace(flow, cookie={"Cookie": flow.cookie["Cookie"].removeprefix("__Host-")})
        assert reason(await come_back(running, plain, {"state": flow.asked["state"]}))[0] == "expired"


async def test_another_process_finishes_a_login(store, running_api, issuer, clock):
    settings = replace(ON, public_url="http://localhost:8080")
    one, two = (login_at(issuer, clock) | {"authentication": settings} for _ in range(2))
    async with running_api(store, **one) as first, running_api(store, **two) as second:
        flow = await begin(first)
        assert flow.asked["redirect_uri"] == f"http://localhost:8080{CALLBACK}"
        session = session_of(await come_back(second, flow, await agree(first, flow)))
        assert (await first.get("/session", headers=session))["name"] == "jwt:ada"


async def test_other_host_names_are_refused(locked):
    await locked.get("/session/login", 421, headers={"Host": "evil.example"})


async def test_a_refused_login_is_a_warning_with_its_cause(locked, issuer, caplog):
    issuer.claims = {"tenant": None}
    flow = await begin(locked)
    assert reason(await come_back(locked, flow, await agree(locked, flow)))[0] == "invalid"
    own = [each for each in caplog.records if each.name.startswith("unspool")]
    assert {each.action: each.levelname for each in own} == {
        "jwt_refused": "WARNING",
        "login_refused": "WARNING",
    }
    assert "it has no claim 'tenant', and UNSPOOL_JWT_TENANT is not set" in caplog.text


async def test_refused_logins_do_not_fill_the_log(locked, monkeypatch, caplog):
    monkeypatch.setattr(failure_limit, "SECONDS", 3600.0)
    caplog.set_level("INFO", "unspool")
    for _ in range(failure_limit.BURST + 2):
        await locked.call("GET", "/session/callback", 302, allow_redirects=False)
    refused = [each for each in caplog.records if getattr(each, "action", "") == "login_refused"]
    assert [each.levelname for each in refused] == ["WARNING"] * failure_limit.BURST + ["INFO"] * 2


async def test_nothing_secret_is_logged_or_counted(locked, issuer, caplog):
    caplog.set_level("DEBUG")
    flow = await begin(locked)
    answer = await agree(locked, flow)
    response = await come_back(locked, flow, answer)
    again = await come_back(locked, flow, answer)
    refused_claims = await begin(locked)
    issuer.claims = {"nonce": "other"}
    wrong = await come_back(locked, refused_claims, await agree(locked, refused_claims))
    session = session_of(response)["Cookie"]
    metrics = await locked.get("//metrics", headers=bearer(issuer.token(tenant="*")))
    assert 'route="/api/v1/session/callback"' in metrics
    own = [record for record in caplog.records if record.name.startswith("unspool")]
    seen = json.dumps([record.getMessage() for record in own]) + metrics
    seen += again.headers["Location"] + wrong.headers["Location"]
    assert "a login at the issuer failed: the token endpoint answers invalid_grant" in seen
    secrets = [answer["code"], flow.asked["state"], flow.asked["nonce"], session.partition("=")[2]]
    for secret in (*secrets, flow.cookie["Cookie"].partition("=")[2].partition(".")[0]):
        assert secret not in seen


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: OidcSettings(scopes="profile"), "UNSPOOL_OIDC_SCOPES must have openid"),
        (lambda: AuthenticationSettings(public_url="http://unspool.example.com"), "must be an https URL"),
        (lambda: AuthenticationSettings(public_url="https://a.example/x"), "must be an origin"),
        (lambda: AuthenticationSettings(public_url="https://a@b.example"), "must be an origin"),
        (lambda: AuthenticationSettings(public_url="unspool.example.com"), "must be an https URL"),
    ],
)
def test_settings_are_checked(make, message):
    with pytest.raises(BadSetting, match=message):
        make()
