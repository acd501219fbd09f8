"""Logins at an issuer: the authorization code flow, and all that is refused in it."""

import asyncio
import base64
import json
import time
from dataclasses import replace
from datetime import datetime

import pytest
from aiohttp import web
from tests.api.issuer import AUDIENCE, CLIENT, rsa_key
from tests.api.issuer_flow import CALLBACK, agree, begin, come_back, login_at, reason, refused, session_of
from tests.api.keys import ON, bearer

from unspool.api.authentication import failure_limit, issuer_documents
from unspool.api.authentication.oidc_settings import OidcSettings
from unspool.api.authentication.pending_login import SECONDS
from unspool.api.authentication.settings import AuthenticationSettings
from unspool.eventstore.api_keys import Credential, parse_credential
from unspool.eventstore.settings import BadSetting


@pytest.fixture
async def locked(store, running_api, issuer, later_clock):
    """An API with logins at the issuer."""
    async with running_api(store, **login_at(issuer, later_clock)) as running:
        yield running


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


async def test_a_client_with_a_secret(store, running_api, issuer, later_clock):
    issuer.secret = "s3cret &:%ü"
    for methods in (["client_secret_basic", "client_secret_post"], ["client_secret_post"], None):
        issuer.discovery = {"token_endpoint_auth_methods_supported": methods} if methods else {}
        async with running_api(
            store, **login_at(issuer, later_clock, client_secret=issuer.secret)
        ) as running:
            flow = await begin(running)
            assert session_of(await come_back(running, flow, await agree(running, flow)))
    async with running_api(store, **login_at(issuer, later_clock, client_secret="wrong")) as running:
        assert await refused(running) == "refused"


async def test_a_401_says_where_browsers_log_in(locked, store, running_api, issuer, later_clock):
    expected = {"path": "/api/v1/session/login", "name": "127.0.0.1"}
    assert (await locked.get("/session", 401))["login"] == expected
    assert (await locked.get("/executions", 401, headers=bearer("usk_x")))["login"] == expected
    async with running_api(store, **login_at(issuer, later_clock, name="The shop")) as running:
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
        f"{secret}.{started_at}.{page}.{'0' * 16}-{'0' * 64}",
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


async def test_a_request_for_headers_changes_nothing(locked, issuer):
    flow = await begin(locked)
    answer = await agree(locked, flow)
    for path in (CALLBACK, "/api/v1/session/login"):
        async with locked.session.head(locked.url + path, params=answer, headers=flow.cookie) as response:
            assert (response.status, response.headers["Allow"]) == (405, "GET")
            assert "Set-Cookie" not in response.headers
    assert issuer.exchanges == 0
    assert session_of(await come_back(locked, flow, answer))


async def test_a_login_ends_the_former_session(locked, issuer):
    first = await begin(locked)
    session = session_of(await come_back(locked, first, await agree(locked, first)))
    failing = await begin(locked, **session)
    await come_back(locked, failing, await agree(locked, failing) | {"code": "unknown"})
    await locked.get("/session", headers=session)
    # the browser does not send the session with the answer: it comes from another site
    second = await begin(locked, **session)
    assert parse_credential(session["Cookie"].partition("=")[2]).secret not in second.set_cookie
    new = session_of(await come_back(locked, second, await agree(locked, second)))
    await locked.get("/session", 401, headers=session)
    await locked.get("/session", headers=new)


async def test_a_login_ends_no_session_of_others(locked, issuer):
    first = await begin(locked)
    session = session_of(await come_back(locked, first, await agree(locked, first)))
    id_ = parse_credential(session["Cookie"].partition("=")[2]).id
    guessed = {"Cookie": f"unspool_session={Credential(id_, 'A' * 43).text()}"}
    second = await begin(locked, **guessed)
    assert id_ in second.set_cookie
    assert session_of(await come_back(locked, second, await agree(locked, second)))
    await locked.get("/session", headers=session)


async def test_the_issuer_checks_who_began_the_login(locked, issuer):
    """Another browser's code is refused with one's own state, because the verifier is another one."""
    victim, attacker = await begin(locked), await begin(locked)
    stolen = (await agree(locked, victim))["code"]
    answer = {"code": stolen, "state": attacker.asked["state"]}
    assert reason(await come_back(locked, attacker, answer))[0] == "refused"


async def test_a_login_has_a_limit_of_time(locked, issuer, later_clock):
    flow = await begin(locked)
    answer = await agree(locked, flow)
    later_clock.later = SECONDS * 1000 + 1000
    response = await come_back(locked, flow, answer)
    assert reason(response) == ("expired", "/executions/order-7")
    assert issuer.exchanges == 0


REFUSED_ANSWERS = [
    ({"error": "access_denied", "code": None}, "denied"),
    ({"error": "server_error", "error_description": "<script>alert(1)</script>"}, "refused"),
    ({"error": "</script><script>alert(1)</script>"}, "refused"),
    ({"code": None}, "invalid"),
    ({"code": "unknown"}, "refused"),
    ({"code": "x" * 4097}, "invalid"),
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


async def test_the_public_address_is_where_the_issuer_sends_browsers(store, running_api, issuer, later_clock):
    issuer.redirect_uri = f"https://unspool.example.com{CALLBACK}"
    settings = replace(ON, public_url="https://unspool.example.com")
    parts = login_at(issuer, later_clock) | {"authentication": settings}
    async with running_api(store, names="evil.example,127.0.0.1", **parts) as running:
        flow = await begin(running, Host="evil.example")
        assert flow.set_cookie.startswith("__Host-unspool_login=")
        assert "Secure" in flow.set_cookie
        response = await come_back(running, flow, await agree(running, flow))
        assert "__Host-unspool_session=" in session_of(response)["Cookie"]
        plain = replace(flow, cookie={"Cookie": flow.cookie["Cookie"].removeprefix("__Host-")})
        assert reason(await come_back(running, plain, {"state": flow.asked["state"]}))[0] == "expired"


async def test_another_process_finishes_a_login(store, running_api, issuer, later_clock):
    settings = replace(ON, public_url="http://localhost:8080")
    one, two = (login_at(issuer, later_clock) | {"authentication": settings} for _ in range(2))
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
    assert [(each.action, each.levelname) for each in own] == [("login_refused", "WARNING")]
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
        (lambda: AuthenticationSettings(public_url="https://a@b.example"), "must not have a user"),
        (lambda: AuthenticationSettings(public_url="unspool.example.com"), "must be an https URL"),
    ],
)
def test_settings_are_checked(make, message):
    with pytest.raises(BadSetting, match=message):
        make()
