"""OAuth 2 and OpenID Connect (inventory K2-K4): tokens of a provider that is made with Authlib."""

import asyncio
import base64
import json
from collections.abc import Iterator
from urllib.parse import parse_qsl

import pytest
from aiohttp import web
from tests.executor.flask_server import serving

from unspool.executor.authentication import token_cache
from unspool.executor.authentication.token_cache import TokenCache
from unspool.executor.outcome import Completed, Faulted
from unspool.executor.settings import ExecutorSettings

pytest.importorskip("authlib", reason="needs Authlib")
pytest.importorskip("flask", reason="needs Flask")

from tests.executor.oauth_provider import CLIENT_KEYS, EXCHANGE, SECRET, Provider, application

APP = {"id": "app", "secret": SECRET}


@pytest.fixture(scope="module")
def running() -> Iterator[Provider]:
    provider = Provider()
    with serving(application(provider)) as provider.url:
        yield provider


@pytest.fixture
def provider(running: Provider) -> Provider:
    running.reset()
    return running


def kind(outcome: Faulted) -> tuple[str, int]:
    assert isinstance(outcome, Faulted), outcome
    return outcome.error.type.rpartition("/")[2], outcome.error.status


def oauth2(provider: Provider, **members) -> dict:
    members = {"grant": "client_credentials", "client": APP, **members}
    return {"oauth2": {"authority": provider.url, **members}}


@pytest.fixture
def api(http, provider):
    """Calls the API of the provider with a policy."""

    async def call(policy=None, path="/api", **arguments):
        return await http(provider.url + path, authentication=policy or oauth2(provider), **arguments)

    return call


class TestGrants:
    async def test_client_credentials(self, api, provider) -> None:
        outcome = await api(oauth2(provider, scopes=["write", "read"], audiences=["a", "b"]))
        assert outcome == Completed({"user": "app", "scope": "read write"})
        (form,) = provider.forms
        assert form == {
            "grant_type": ["client_credentials"],
            "scope": ["write read"],
            "audience": ["a", "b"],
            "client_id": ["app"],
            "client_secret": [SECRET],
        }
        assert provider.headers[0]["Accept"] == "application/json"

    async def test_the_spelling_with_a_hyphen(self, api, provider) -> None:
        assert isinstance(await api(oauth2(provider, grant="client-credentials")), Completed)

    async def test_password(self, api, provider) -> None:
        policy = oauth2(provider, grant="password", username="ada", password="hush-hush")
        assert await api(policy) == Completed({"user": "ada", "scope": ""})

    async def test_a_wrong_password(self, api, provider) -> None:
        policy = oauth2(provider, grant="password", username="ada", password="wrong-word")
        outcome = await api(policy)
        assert kind(outcome) == ("authentication", 401)
        assert "answered 400: invalid_request" in outcome.error.detail
        assert "wrong-word" not in str(outcome.error)

    async def test_refresh_token(self, api, provider) -> None:
        """The token that is exchanged is `subject`. The provider replaces it with each use."""
        provider.with_refresh, provider.lifetime = True, 0
        await api(oauth2(provider, grant="password", username="ada", password="hush-hush"))
        first = provider.issued[0].data["refresh_token"]
        policy = oauth2(provider, grant="refresh_token", subject={"token": first, "type": "refresh_token"})
        provider.lifetime = 3600
        assert await api(policy) == Completed({"user": "ada", "scope": ""})
        provider.issued[-1].at -= 7200
        assert await api(policy) == Completed({"user": "ada", "scope": ""})
        used = [form["refresh_token"] for form in provider.forms[1:]]
        assert used == [[first], [provider.issued[-2].data["refresh_token"]]]

    async def test_token_exchange(self, api, provider) -> None:
        await api(oauth2(provider, grant="password", username="ada", password="hush-hush"))
        subject = {"token": provider.issued[0].data["access_token"], "type": "access_token"}
        actor = {"token": "an-actor-token", "type": "urn:ietf:params:oauth:token-type:jwt"}
        policy = oauth2(provider, grant=EXCHANGE, subject=subject, actor=actor)
        assert await api(policy) == Completed({"user": "ada", "scope": ""})
        form = provider.forms[1]
        assert form["subject_token_type"] == ["urn:ietf:params:oauth:token-type:access_token"]
        assert form["actor_token"] == ["an-actor-token"]
        assert form["actor_token_type"] == ["urn:ietf:params:oauth:token-type:jwt"]

    async def test_authorization_code(self, api, provider) -> None:
        """The code is `subject`. It can be used once; then the refresh token is."""
        provider.with_refresh, provider.lifetime = True, 0
        policy = oauth2(provider, grant="authorization_code", subject={"token": "the-code", "type": "code"})
        await api(policy)
        provider.lifetime = 3600
        assert await api(policy) == Completed({"user": "ada", "scope": ""})
        assert [form["grant_type"] for form in provider.forms] == [["authorization_code"], ["refresh_token"]]


class TestClients:
    async def test_basic(self, api, provider) -> None:
        assert isinstance(
            await api(oauth2(provider, client={**APP, "authentication": "client_secret_basic"})), Completed
        )
        assert provider.forms == [{"grant_type": ["client_credentials"]}]

    async def test_none(self, api, provider) -> None:
        client = {"id": "public", "authentication": "none"}
        policy = oauth2(provider, grant="password", username="ada", password="hush-hush", client=client)
        assert isinstance(await api(policy), Completed)
        assert provider.forms[0]["client_id"] == ["public"]

    async def test_client_secret_jwt(self, api, provider) -> None:
        client = {"id": "shared", "secret": SECRET, "authentication": "client_secret_jwt"}
        assert isinstance(await api(oauth2(provider, client=client)), Completed)
        assert "client_secret" not in provider.forms[0]

    @pytest.mark.parametrize("id_", ["rsa", "ec"])
    @pytest.mark.parametrize("form", ["pem", "jwk", "text of a jwk", "jwks"])
    async def test_private_key_jwt(self, api, provider, id_, form) -> None:
        key = CLIENT_KEYS[id_]
        written = {
            "pem": key.as_pem(private=True).decode(),
            "jwk": key.as_dict(private=True),
            "text of a jwk": json.dumps(key.as_dict(private=True)),
            "jwks": {"keys": [key.as_dict(private=False), key.as_dict(private=True)]},
        }[form]
        client = {"id": id_, "assertion": written, "authentication": "private_key_jwt"}
        assert isinstance(await api(oauth2(provider, client=client)), Completed)

    async def test_an_assertion_that_is_a_jwt_is_sent_unchanged(self, api, provider) -> None:
        client = {"id": "rsa", "assertion": "aaaa.bbbb.cccc", "authentication": "private_key_jwt"}
        outcome = await api(oauth2(provider, client=client))
        assert kind(outcome) == ("authentication", 401)
        assert provider.forms[0]["client_assertion"] == ["aaaa.bbbb.cccc"]

    @pytest.mark.parametrize(
        "assertion",
        ["-----BEGIN PRIVATE KEY-----\nsecretkey\n-----END PRIVATE KEY-----", "{", '{"kty": "RSA"}', "?"],
    )
    async def test_a_key_that_cannot_be_used_is_a_configuration_error(self, api, provider, assertion) -> None:
        client = {"id": "rsa", "assertion": assertion, "authentication": "private_key_jwt"}
        outcome = await api(oauth2(provider, client=client))
        assert kind(outcome) == ("configuration", 400)
        assert "private key" in outcome.error.detail
        assert "secretkey" not in str(outcome.error)
        assert not provider.forms

    async def test_a_public_key_cannot_sign(self, api, provider) -> None:
        public = CLIENT_KEYS["ec"].as_pem(private=False).decode()
        client = {"id": "ec", "assertion": public, "authentication": "private_key_jwt"}
        assert kind(await api(oauth2(provider, client=client))) == ("configuration", 400)

    async def test_without_the_library_the_error_names_it(self, api, provider, monkeypatch) -> None:
        import sys

        monkeypatch.setitem(sys.modules, "joserfc", None)
        client = {"id": "shared", "secret": SECRET, "authentication": "client_secret_jwt"}
        outcome = await api(oauth2(provider, client=client))
        assert kind(outcome) == ("configuration", 400)
        assert "pip install unspool[jwt]" in outcome.error.detail

    async def test_a_wrong_secret_is_an_authentication_error(self, api, provider) -> None:
        """K4"""
        outcome = await api(oauth2(provider, client={"id": "app", "secret": "not-the-secret"}))
        assert kind(outcome) == ("authentication", 401)
        assert f"{provider.url}/oauth2/token answered 401: invalid_client" in outcome.error.detail
        assert "not-the-secret" not in str(outcome.error)


class TestRequests:
    async def test_the_parameters_as_json(self, http, service) -> None:
        service.answer("/t", '{"access_token": "t0ken"}', Content_Type="application/json")
        service.answer("/")
        await http(
            service.url,
            authentication={
                "oauth2": {
                    "authority": service.url,
                    "endpoints": {"token": "t"},
                    "grant": "client_credentials",
                    "client": {"id": "app", "secret": "hush"},
                    "request": {"encoding": "application/json"},
                    "scopes": ["a", "b"],
                    "audiences": ["x", "y", "z"],
                }
            },
        )
        assert service.requests[0].headers["Content-Type"] == "application/json"
        assert json.loads(service.bodies[0]) == {
            "grant_type": "client_credentials",
            "client_id": "app",
            "client_secret": "hush",
            "scope": "a b",
            "audience": ["x", "y", "z"],
        }
        assert service.requests[1].headers["Authorization"] == "Bearer t0ken"

    async def test_the_credentials_of_basic_are_encoded(self, http, service) -> None:
        """RFC 6749, 2.3.1"""
        service.answer("/oauth2/token", '{"access_token": "t"}')
        client = {"id": "a:b", "secret": "c d%ä", "authentication": "client_secret_basic"}
        policy = {"oauth2": {"authority": service.url, "grant": "client_credentials", "client": client}}
        await http(service.url, authentication=policy)
        expected = base64.b64encode(b"a%3Ab:c+d%25%C3%A4").decode()
        assert service.requests[0].headers["Authorization"] == f"Basic {expected}"
        assert dict(parse_qsl(service.bodies[0].decode())) == {"grant_type": "client_credentials"}

    @pytest.mark.parametrize(
        ("authority", "token", "path"),
        [
            ("", None, "/oauth2/token"),
            ("/", None, "/oauth2/token"),
            ("/realms/a%2Fb", None, "/realms/a%2Fb/oauth2/token"),
            ("/realms/x/", "/auth/token", "/realms/x/auth/token"),
            ("/realms/x", "token?p=1", "/realms/x/token?p=1"),
            ("/x?p=1", "/t", "/x/t?p=1"),
            ("/x", "{url}/elsewhere", "/elsewhere"),
        ],
    )
    async def test_the_token_endpoint_is_below_the_authority(
        self, http, service, authority, token, path
    ) -> None:
        """K2"""
        endpoints = {} if token is None else {"endpoints": {"token": token.format(url=service.url)}}
        policy = {
            "oauth2": {"authority": service.url + authority, "grant": "client_credentials", **endpoints}
        }
        await http(service.url, authentication=policy)
        assert service.requests[0].raw_path == path

    @pytest.mark.parametrize(
        ("members", "named"),
        [
            ({"authority": None}, "authority"),
            ({"authority": "keycloak"}, "authority"),
            ({"authority": "ftp://h/"}, "authority"),
            ({"authority": "http://u:p@h/"}, "authority"),
            ({"grant": "implicit"}, "grant"),
            ({"grant": None}, "grant"),
            ({"grant": 3}, "grant"),
            ({"client": "app"}, "client"),
            ({"client": {"id": 1}}, "client.id"),
            ({"client": {"authentication": "none"}}, "client.id"),
            ({"client": {"id": "x", "authentication": "client_secret_basic"}}, "client.secret"),
            ({"client": {"id": "x", "authentication": "private_key_jwt"}}, "client.assertion"),
            ({"client": {"id": "x", "authentication": "tls"}}, "client.authentication"),
            ({"client": {"id": "x", "assertion": [1]}}, "client.assertion"),
            ({"request": {"encoding": "text/xml"}}, "request.encoding"),
            ({"scopes": [1]}, "scopes"),
            ({"issuers": {"a": 1}}, "issuers"),
            ({"grant": "password", "username": "ada"}, "password"),
            ({"grant": "refresh_token"}, "subject"),
            ({"grant": "token-exchange", "subject": {"type": "x"}}, "subject.token"),
            ({"endpoints": {"token": "http://"}}, "endpoints.token"),
        ],
    )
    async def test_a_wrong_member_is_a_configuration_error_that_names_it(self, http, members, named) -> None:
        policy = {"authority": "http://127.0.0.1:1", "grant": "client_credentials", "client": APP, **members}
        outcome = await http("http://127.0.0.1:1/", authentication={"oauth2": policy})
        assert kind(outcome) == ("configuration", 400)
        assert f"oauth2.{named}" in outcome.error.detail

    @pytest.mark.parametrize("members", [None, "text", [1]])
    async def test_a_policy_without_members(self, http, members) -> None:
        outcome = await http("http://127.0.0.1:1/", authentication={"oidc": members})
        assert kind(outcome) == ("configuration", 400)


class TestDiscovery:
    @pytest.mark.parametrize("authority", ["/realm", "/realm/", "/realm/.well-known/openid-configuration"])
    async def test_the_configuration_names_the_token_endpoint(self, api, provider, authority) -> None:
        """K3"""
        policy = {
            "oidc": {"authority": provider.url + authority, "grant": "client_credentials", "client": APP}
        }
        assert isinstance(await api(policy), Completed)
        assert isinstance(await api({"oidc": {**policy["oidc"], "scopes": ["read"]}}), Completed)
        assert provider.discoveries == 1
        assert len(provider.forms) == 2

    async def test_an_oauth2_authority_may_be_the_address_of_the_configuration(self, api, provider) -> None:
        """K2: old examples of the specification are written like this."""
        authority = f"{provider.url}/realm/.well-known/openid-configuration"
        assert isinstance(await api(oauth2(provider, authority=authority)), Completed)

    @pytest.mark.parametrize(
        ("body", "status", "error"),
        [
            ("{}", 200, ("authentication", 401)),
            ('{"token_endpoint": "file:///etc"}', 200, ("authentication", 401)),
            ('{"token_endpoint": 7}', 200, ("authentication", 401)),
            ("[", 200, ("authentication", 401)),
            ("", 404, ("communication", 404)),
            ("", 302, ("communication", 302)),
        ],
    )
    async def test_a_configuration_that_cannot_be_used(self, http, service, body, status, error) -> None:
        service.answer("/.well-known/openid-configuration", body, status, Location="/other")
        policy = {"oidc": {"authority": service.url, "grant": "client_credentials", "client": APP}}
        assert kind(await http(service.url, authentication=policy)) == error
        assert len(service.requests) == 1

    def test_https_stays_https(self) -> None:
        from unspool.executor.authentication.token_policy import token_policy

        policy = token_policy(
            {
                "oidc": {
                    "authority": "https://a.example/x",
                    "grant": "password",
                    "username": "u",
                    "password": "p",
                }
            }
        )
        assert str(policy.discovery) == "https://a.example/x/.well-known/openid-configuration"


class TestErrors:
    @pytest.mark.parametrize(
        ("body", "status", "error"),
        [
            ('{"error": "invalid_client"}', 401, ("authentication", 401)),
            ('{"error": "invalid_client"}', 400, ("authentication", 401)),
            ('{"error": "invalid_grant"}', 400, ("authentication", 401)),
            ("nothing to see", 401, ("authentication", 401)),
            ("nothing to see", 403, ("authorization", 403)),
            ('{"error": "unauthorized_client"}', 400, ("authorization", 403)),
            ('{"error": "invalid_scope"}', 400, ("authorization", 403)),
            ('{"error": "unsupported_grant_type"}', 400, ("authentication", 401)),
            ('{"error": "unauthorized_client"}', 401, ("authorization", 403)),
            ("", 404, ("communication", 404)),
            ("", 429, ("communication", 429)),
            ("", 503, ("communication", 503)),
            ('{"error": "invalid_client"}', 500, ("communication", 500)),
            ("", 302, ("communication", 302)),
            ('{"error": "bad_verification_code"}', 200, ("communication", 500)),
            ("{}", 200, ("authentication", 401)),
            ("[1]", 200, ("authentication", 401)),
            ("<html>", 200, ("authentication", 401)),
            ("", 200, ("authentication", 401)),
            ('{"access_token": 7}', 200, ("authentication", 401)),
            ('{"access_token": ""}', 200, ("authentication", 401)),
            ('{"access_token": "a b"}', 200, ("authentication", 401)),
            ('{"access_token": "a\\r\\nX: 1"}', 200, ("authentication", 401)),
            ('{"access_token": "t", "token_type": "mac"}', 200, ("authentication", 401)),
            ("x" * 300_000, 200, ("communication", 500)),
        ],
    )
    async def test_no_token(self, http, service, body, status, error) -> None:
        """K4"""
        service.answer("/oauth2/token", body, status, Location="/other")
        service.answer("/other", '{"access_token": "t"}')
        policy = {"oauth2": {"authority": service.url, "grant": "client_credentials", "client": APP}}
        outcome = await http(f"{service.url}/api", authentication=policy)
        assert kind(outcome) == error
        assert outcome.error.title
        assert f"{service.url}/oauth2/token" in outcome.error.detail
        assert [request.path for request in service.requests] == ["/oauth2/token"]
        assert SECRET not in str(outcome.error)

    async def test_the_description_of_an_error_is_shown_without_the_secrets(self, http, service) -> None:
        body = {"error": "invalid_grant", "error_description": f"{SECRET} and hush-hush is wrong"}
        service.answer("/oauth2/token", json.dumps(body), 400)
        policy = {"authority": service.url, "grant": "password", "client": APP}
        policy = {"oauth2": {**policy, "username": "ada", "password": "hush-hush"}}
        outcome = await http(service.url, authentication=policy)
        assert outcome.error.detail.endswith("answered 400: invalid_grant, *** and *** is wrong")

    async def test_a_token_endpoint_says_when_to_try_again(self, http, service) -> None:
        service.answer("/oauth2/token", status=429, Retry_After="7")
        policy = {"oauth2": {"authority": service.url, "grant": "client_credentials"}}
        assert (await http(service.url, authentication=policy)).error.retry_after == 7

    async def test_no_connection(self, http) -> None:
        policy = {"oauth2": {"authority": "http://127.0.0.1:1", "grant": "client_credentials"}}
        outcome = await http("http://127.0.0.1:2/", authentication=policy)
        assert kind(outcome) == ("communication", 500)
        assert "POST http://127.0.0.1:1/oauth2/token" in outcome.error.detail

    async def test_the_egress_policy_is_for_token_endpoints_too(self, http, service) -> None:
        policy = {"oauth2": {"authority": "http://169.254.169.254", "grant": "client_credentials"}}
        assert kind(await http(service.url, authentication=policy)) == ("authorization", 403)
        service.answer("/.well-known/openid-configuration", '{"token_endpoint": "http://169.254.169.254/t"}')
        policy = {"oidc": {"authority": service.url, "grant": "client_credentials"}}
        assert kind(await http(service.url, authentication=policy)) == ("authorization", 403)

    @pytest.mark.parametrize("http", [ExecutorSettings(http_timeout_seconds=0.3)], indirect=True)
    async def test_one_deadline_for_token_and_call(self, api, provider) -> None:
        provider.delay = 1.0
        assert kind(await api()) == ("timeout", 408)

    @pytest.mark.parametrize(
        ("issuers", "fine"), [(["http://other", "{url}"], True), (["http://other"], False), ([], True)]
    )
    async def test_the_issuer_of_a_token(self, api, provider, issuers, fine) -> None:
        """K4"""
        named = [each.format(url=provider.url) for each in issuers]
        outcome = await api(oauth2(provider, issuers=named))
        if fine:
            assert isinstance(outcome, Completed)
        else:
            assert kind(outcome) == ("authentication", 401)
            assert "issuer" in outcome.error.detail

    @pytest.mark.parametrize("token", ["opaque", "a.b.c", "a.W10.c", "a.e30.c"])
    async def test_a_token_without_an_issuer_is_refused_if_issuers_are_named(
        self, http, service, token
    ) -> None:
        service.answer("/oauth2/token", json.dumps({"access_token": token}))
        policy = {"authority": service.url, "grant": "client_credentials", "issuers": ["http://a"]}
        assert kind(await http(service.url, authentication={"oauth2": policy})) == ("authentication", 401)

    async def test_the_issuer_may_be_in_the_id_token(self, http, service) -> None:
        claims = base64.urlsafe_b64encode(b'{"iss": "http://a"}').decode().rstrip("=")
        answer = {"access_token": "opaque", "id_token": f"a.{claims}.c"}
        service.answer("/oauth2/token", json.dumps(answer))
        service.answer("/")
        policy = {"authority": service.url, "grant": "client_credentials", "issuers": ["http://a"]}
        assert await http(service.url, authentication={"oauth2": policy}) == Completed(None)


class TestCache:
    async def test_a_token_is_used_until_it_expires(self, api, provider) -> None:
        for _ in range(3):
            await api()
        assert len(provider.forms) == 1
        await api(oauth2(provider, scopes=["read"]))
        await api(oauth2(provider, client={**APP, "authentication": "client_secret_basic"}))
        assert len(provider.forms) == 3

    async def test_calls_at_once_share_one_request(self, api, provider) -> None:
        provider.delay = 0.2
        outcomes = await asyncio.gather(*(api() for _ in range(20)))
        assert all(isinstance(outcome, Completed) for outcome in outcomes)
        assert len(provider.forms) == 1

    async def test_calls_at_once_share_one_error(self, api, provider) -> None:
        provider.delay = 1.0
        policy = oauth2(provider, client={"id": "app", "secret": "wrong-secret"})
        outcomes = await asyncio.gather(*(api(policy) for _ in range(5)))
        assert {kind(outcome) for outcome in outcomes} == {("authentication", 401)}
        assert len(provider.forms) == 1

    async def test_a_cancelled_call_does_not_cancel_the_request_of_others(
        self, api, provider, eventually
    ) -> None:
        provider.answers.clear()
        first = asyncio.create_task(api())
        await eventually(lambda: provider.asked == 1, "the request arrives")
        second = asyncio.create_task(api())
        await asyncio.sleep(0.05)
        first.cancel()
        await asyncio.sleep(0)
        provider.answers.set()
        assert isinstance(await second, Completed)
        with pytest.raises(asyncio.CancelledError):
            await first
        assert len(provider.forms) == 1

    async def test_an_expired_token_is_refreshed(self, api, provider) -> None:
        provider.with_refresh, provider.lifetime = True, 0
        policy = oauth2(provider, grant="password", username="ada", password="hush-hush")
        await api(policy)
        provider.lifetime = 3600
        assert await api(policy) == Completed({"user": "ada", "scope": ""})
        assert [form["grant_type"] for form in provider.forms] == [["password"], ["refresh_token"]]

    async def test_if_the_refresh_token_is_refused_the_grant_is_used_again(self, api, provider) -> None:
        provider.with_refresh, provider.lifetime = True, 0
        policy = oauth2(provider, grant="password", username="ada", password="hush-hush")
        await api(policy)
        provider.lifetime = 3600
        provider.revoke_all()
        assert isinstance(await api(policy), Completed)
        grants = [form["grant_type"][0] for form in provider.forms]
        assert grants == ["password", "refresh_token", "password"]

    async def test_a_token_that_a_service_refuses_is_replaced_once(self, api, provider) -> None:
        assert isinstance(await api(), Completed)
        provider.revoke_all()
        assert isinstance(await api(method="POST", body={"a": 1}), Completed)
        assert len(provider.forms) == 2

    async def test_a_service_that_refuses_every_token(self, http, service, provider) -> None:
        service.answer("/", status=401)
        outcome = await http(service.url, authentication=oauth2(provider))
        assert kind(outcome) == ("communication", 401)
        assert len(service.requests) == 2
        assert len(provider.forms) == 2

    async def test_calls_whose_token_was_refused_share_one_request(self, api, provider) -> None:
        await api()
        provider.revoke_all()
        provider.delay = 0.2
        outcomes = await asyncio.gather(*(api() for _ in range(10)))
        assert all(isinstance(outcome, Completed) for outcome in outcomes)
        assert len(provider.forms) == 2

    @pytest.mark.parametrize(
        ("answer", "seconds"),
        [
            ({"expires_in": 3600}, 3570),
            ({"expires_in": "100"}, 90),
            ({"expires_in": 0}, 0),
            ({"expires_in": -5}, 0),
            ({"expires_in": 1e300}, 1e9 - 30),
            ({"expires_in": None}, 54),
            ({"expires_in": []}, 54),
            ({}, 54),
        ],
    )
    def test_the_time_that_a_token_is_used(self, answer, seconds) -> None:
        from unspool.executor.authentication.token import read_token

        token = read_token({"access_token": "t", **answer}, now=1000.0, wall_clock=5.0, issuers=())
        assert token.expires_at == 1000 + seconds

    async def test_a_limited_number_of_tokens_is_kept(self, monkeypatch) -> None:
        monkeypatch.setattr(token_cache, "MOST_TOKENS", 2)
        from unspool.executor.authentication.token import read_token

        fetched = []
        cache = TokenCache(lambda: 0.0)

        async def get(key: str) -> None:
            async def fetch(_):
                fetched.append(key)
                return read_token({"access_token": key}, 0.0, 0.0, ())

            assert (await cache.get(key, fetch)).value == key

        for key in ("aaaa", "bbbb", "aaaa", "cccc", "aaaa", "bbbb"):
            await get(key)
        assert fetched == ["aaaa", "bbbb", "cccc", "bbbb"]


class TestSecrecy:
    async def test_a_service_that_echoes_the_token(self, api, provider) -> None:
        outcome = await api(path="/echo")
        assert outcome.output["Authorization"] == "Bearer ***"
        token = provider.issued[0].data["access_token"]
        assert token not in str(outcome)

    @pytest.mark.parametrize("output", ["content", "raw", "response"])
    async def test_forms_of_the_token(self, http, service, provider, output) -> None:
        async def echo(request: web.Request) -> web.Response:
            token = request.headers["Authorization"].split()[1]
            encoded = base64.b64encode(f"?{token}".encode()).decode()
            return web.json_response({token: [token, encoded]}, headers={"X-Token": token})

        service.answers["/"] = echo
        outcome = await http(service.url, authentication=oauth2(provider), output=output)
        token = provider.issued[0].data["access_token"]
        shown = json.dumps(outcome.output)
        if output == "raw":
            shown += base64.b64decode(outcome.output + "==", validate=False).decode("latin-1")
        assert token not in shown
        assert token[10:200] not in shown
        assert base64.b64encode(token.encode()).decode()[8:300] not in shown

    async def test_an_error_that_quotes_the_token(self, http, service, provider) -> None:
        async def echo(request: web.Request) -> web.Response:
            body = json.dumps({"detail": f"bad {request.headers['Authorization']}"})
            return web.Response(status=403, text=body, content_type="application/problem+json")

        service.answers["/"] = echo
        outcome = await http(service.url, authentication=oauth2(provider))
        assert outcome.error.detail.endswith(": bad Bearer ***")

    async def test_no_other_origin_gets_the_token(self, http, service, provider) -> None:
        service.answer("/a", status=302, Location=f"{service.elsewhere}/b")
        service.answer("/b", status=401)
        outcome = await http(f"{service.url}/a", authentication=oauth2(provider), redirect=True)
        assert kind(outcome) == ("communication", 401)
        assert [("Authorization" in request.headers) for request in service.requests] == [True, False]
        assert len(provider.forms) == 1
