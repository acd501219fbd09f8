"""JWTs as credentials of callers."""

import base64
import json
import sys
import time
from dataclasses import replace

import pytest
from joserfc import jws, jwt
from joserfc.jwk import ECKey, OctKey
from tests.api.issuer import AUDIENCE, rsa_key
from tests.api.keys import ON, bearer

from unspool.api.authentication import failure_limit, refetched_document
from unspool.api.authentication.jwt_settings import JwtSettings
from unspool.api.authentication.tokens import Tokens
from unspool.eventstore.clock import SystemClock
from unspool.eventstore.settings import BadSetting


@pytest.fixture
def settings_of_issuer(issuer):
    return JwtSettings(issuer=issuer.url, audience=AUDIENCE)


@pytest.fixture
async def locked(store, running_api, settings_of_issuer):
    """An API that accepts the tokens of the issuer."""
    tokens = Tokens(settings_of_issuer, SystemClock())
    async with running_api(store, authentication=ON, tokens=tokens) as running:
        yield running


async def test_a_token_gives_its_scopes_and_its_tenant(locked, issuer):
    who = await locked.get("/session", headers=bearer(issuer.token()))
    assert (who["name"], who["tenant"]) == ("jwt:ada", "shop")
    assert who["scopes"] == ["read", "start", "operate"]
    assert who["expiresAt"]
    await locked.get("/keys", 403, headers=bearer(issuer.token()))
    await locked.get("/keys", headers=bearer(issuer.token(scope=["unspool:admin"])))
    await locked.get("/executions", 403, headers=bearer(issuer.token(scope="operate unspool:all")))
    await locked.get("/executions", 403, headers={**bearer(issuer.token()), "X-Tenant": "bank"})


async def test_a_star_is_all_tenants(locked, issuer):
    token = issuer.token(tenant="*")
    assert (await locked.get("/session", headers=bearer(token)))["tenant"] is None
    await locked.get("/executions", headers={**bearer(token), "X-Tenant": "bank"})


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.example"},
        {"iss": None},
        {"aud": "other"},
        {"aud": ["other"]},
        {"aud": None},
        {"exp": int(time.time()) - 120},
        {"exp": None},
        {"exp": "tomorrow"},
        {"exp": 10**20},
        {"exp": 1e300},
        {"nbf": int(time.time()) + 86_400},
        {"sub": None},
        {"sub": 7},
        {"tenant": None},
        {"tenant": "a/b"},
        {"tenant": ["shop"]},
    ],
)
async def test_a_token_with_other_claims_is_refused(locked, issuer, changes):
    await locked.get("/session", 401, headers=bearer(issuer.token(**changes)))


async def test_clocks_may_differ_a_little(locked, issuer):
    now = int(time.time())
    token = issuer.token(exp=now - 20, nbf=now - 40)
    await locked.get("/session", headers=bearer(token))
    await locked.get("/session", headers=bearer(issuer.token(nbf=now + 30, aud=["other", AUDIENCE])))


def _part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


async def test_forged_signatures_are_refused(locked, issuer, monkeypatch):
    monkeypatch.setattr(failure_limit, "BURST", 1000)
    good = issuer.token()
    header, payload, signature = good.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    public = issuer.keys[0].as_pem(private=False)
    with_secret = jwt.encode({"alg": "HS256", "kid": "one"}, claims, OctKey.import_key(public.hex()))
    stranger = rsa_key("one")
    forged = [
        f"{_part({'alg': 'none'})}.{payload}.",
        f"{_part({'alg': 'none', 'kid': 'one'})}.{payload}.{signature}",
        with_secret,
        issuer.token(stranger),
        issuer.token(stranger, header={"jwk": stranger.as_dict(private=False)}),
        issuer.token(stranger, header={"jku": "https://evil.example/keys"}),
        issuer.token(stranger, header={"kid": "../../etc/passwd"}),
        issuer.token(stranger, header={"kid": "https://evil.example/key"}),
        f"{header}.{_part(claims | {'scope': 'unspool:admin'})}.{signature}",
        f"{header}.{payload}.{signature[:-4]}AAAA",
        f"{_part([])}.{payload}.{signature}",
        f"{_part(['alg'])}.{payload}.{signature}",
        f"{_part('alg')}.{payload}.{signature}",
        jws.serialize_compact({"alg": "RS256", "kid": "one"}, b"[" * 5_000 + b"]" * 5_000, issuer.keys[0]),
        issuer.token(more="x" * 20_000),
        f"{_part({'alg': ['RS256'], 'kid': 'one'})}.{payload}.{signature}",
        f"{_part({'alg': 'RS256', 'kid': {'a': 1}})}.{payload}.{signature}",
        *(
            f"{_part({'alg': 'RS256', 'kid': 'one', 'crit': crit})}.{payload}.{signature}"
            for crit in (["x"], ["b64"], 7, None, {})
        ),
        "e30.e30.e30",
        "é.é.é",
    ]
    for token in forged:
        response, _ = await locked.call(
            "GET", "/session", headers={"Authorization": f"Bearer {token}".encode().decode("latin-1")}
        )
        assert response.status == 401, token
    assert (await locked.get("/session", headers=bearer(good)))["name"] == "jwt:ada"


async def test_only_configured_algorithms_are_accepted(store, running_api, issuer, settings_of_issuer):
    key = ECKey.generate_key("P-256", {"kid": "two"})
    issuer.keys.append(key)
    strict = Tokens(replace(settings_of_issuer, algorithms="RS256"), SystemClock())
    async with running_api(store, authentication=ON, tokens=strict) as running:
        await running.get("/session", headers=bearer(issuer.token()))
        await running.get("/session", 401, headers=bearer(issuer.token(key)))
    both = Tokens(settings_of_issuer, SystemClock())
    async with running_api(store, authentication=ON, tokens=both) as running:
        await running.get("/session", headers=bearer(issuer.token(key)))


async def test_keys_are_fetched_once_and_again_for_a_new_one(locked, issuer):
    for _ in range(3):
        await locked.get("/session", headers=bearer(issuer.token()))
    assert issuer.fetches == 1
    new = rsa_key("new")
    issuer.keys[:] = [new]
    await locked.get("/session", headers=bearer(issuer.token(new)))
    assert issuer.fetches == 2


async def test_unknown_keys_cause_few_fetches(locked, issuer, monkeypatch):
    monkeypatch.setattr(refetched_document, "PAUSE_SECONDS", 3600.0)
    await locked.get("/session", headers=bearer(issuer.token()))
    for n in range(5):
        token = issuer.token(header={"kid": f"unknown-{n}"})
        await locked.get("/session", 401, headers=bearer(token))
    assert issuer.fetches == 1


async def test_an_issuer_that_is_away(locked, issuer):
    issuer.away = True
    response, problem = await locked.call("GET", "/session", 503, headers=bearer(issuer.token()))
    assert response.headers["Retry-After"]
    assert "cannot be fetched" in problem["detail"]
    issuer.away = False
    await locked.get("/session", headers=bearer(issuer.token()))
    issuer.away = True
    await locked.get("/session", 401, headers=bearer(issuer.token(rsa_key("new"))))
    await locked.get("/session", headers=bearer(issuer.token()))


@pytest.mark.parametrize(
    "discovery",
    [
        {"issuer": "https://evil.example"},
        {"jwks_uri": "http://169.254.169.254/keys"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": None},
    ],
)
async def test_a_discovery_document_that_names_another_place_is_refused(locked, issuer, discovery):
    issuer.discovery = discovery
    await locked.get("/session", 503, headers=bearer(issuer.token()))


async def test_settings_name_the_claims(store, running_api, issuer, settings_of_issuer):
    changed = replace(
        settings_of_issuer,
        jwks_url=f"{issuer.url}/keys",
        scopes_claim="realm_access.roles",
        scopes="viewer=read https://a.example/root=admin",
        tenant_claim="https://a.example/tenant",
        tenant="bank",
    )
    async with running_api(store, authentication=ON, tokens=Tokens(changed, SystemClock())) as running:
        who = await running.get(
            "/session", headers=bearer(issuer.token(realm_access={"roles": ["viewer", 7]}))
        )
        assert (who["scopes"], who["tenant"]) == (["read"], "bank")
        root = {"realm_access": {"roles": ["https://a.example/root"]}, "https://a.example/tenant": "shop"}
        who = await running.get("/session", headers=bearer(issuer.token(**root)))
        assert (len(who["scopes"]), who["tenant"]) == (4, "shop")
        for odd in ({"realm_access": 7}, {"realm_access": {"roles": {"viewer": 1}}}, {}):
            await running.get("/executions", 403, headers=bearer(issuer.token(**odd)))
    assert issuer.fetches == 0


async def test_a_setting_names_the_claim_with_the_name(store, running_api, issuer, settings_of_issuer):
    changed = replace(settings_of_issuer, name_claim="profile.email")
    async with running_api(store, authentication=ON, tokens=Tokens(changed, SystemClock())) as running:
        for profile, name in (
            ({"email": "ada@shop.example"}, "ada@shop.example"),
            ({"email": 7}, "ada"),
            (7, "ada"),
        ):
            who = await running.get("/session", headers=bearer(issuer.token(profile=profile)))
            assert who["name"] == f"jwt:{name}"


async def test_a_browser_logs_in_with_a_token(locked, issuer):
    response, body = await locked.call("POST", "/session", 201, json={"token": issuer.token()})
    assert body["name"] == "jwt:ada"
    cookie = {"Cookie": response.headers["Set-Cookie"].partition(";")[0]}
    assert await locked.get("/session", headers=cookie) == body
    age = int(response.headers["Set-Cookie"].partition("Max-Age=")[2].partition(";")[0])
    assert age <= 660


async def test_the_name_is_safe_in_histories(locked, issuer):
    who = await locked.get("/session", headers=bearer(issuer.token(sub="a\nb <script>")))
    assert who["name"] == "jwt:a%0Ab%20%3Cscript%3E"


async def test_no_two_people_have_the_same_name(locked, issuer):
    subs = ["josé", "josü", "jos_", "jos%C3%A9", "auth0|5f7c", "x" * 254 + "y", "x" * 255]
    seen = [(await locked.get("/session", headers=bearer(issuer.token(sub=sub))))["name"] for sub in subs]
    assert len(set(seen)) == len(subs)
    assert "jwt:auth0|5f7c" in seen
    for odd in ("x" * 256, ""):
        await locked.get("/session", 401, headers=bearer(issuer.token(sub=odd)))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"audience": ""}, "UNSPOOL_JWT_AUDIENCE is missing"),
        ({"issuer": "http://login.example.com"}, "must be an https URL"),
        ({"issuer": "http://["}, "must be an https URL"),
        ({"jwks_url": "file:///keys"}, "UNSPOOL_JWT_JWKS_URL must be an https URL"),
        ({"algorithms": "none"}, "UNSPOOL_JWT_ALGORITHMS"),
        ({"algorithms": "RS256 HS256"}, "UNSPOOL_JWT_ALGORITHMS"),
        ({"algorithms": " "}, "UNSPOOL_JWT_ALGORITHMS"),
        ({"scopes": "viewer=look"}, "UNSPOOL_JWT_SCOPES"),
        ({"scopes": "viewer"}, "UNSPOOL_JWT_SCOPES"),
        ({"scopes": "read"}, "UNSPOOL_JWT_SCOPES"),
        ({"scopes": "=read"}, "UNSPOOL_JWT_SCOPES"),
        ({"tenant": "a/b"}, "UNSPOOL_JWT_TENANT"),
    ],
)
def test_settings_are_checked(values, message):
    with pytest.raises(BadSetting, match=message):
        JwtSettings(**({"issuer": "https://login.example.com", "audience": "unspool"} | values))


def test_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "joserfc", None)
    settings = JwtSettings(issuer="https://login.example.com", audience="unspool")
    with pytest.raises(BadSetting, match=r"pip install 'unspool\[jwt\]'"):
        Tokens(settings, SystemClock())
