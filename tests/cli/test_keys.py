"""`unspool keys`, and the refusal to serve all callers by accident."""

import re
import urllib.error
import urllib.request

import pytest

from unspool.eventstore.api_keys import parse_credential, sha256_of_secret
from unspool.eventstore.opening import open_store


def stored(run_coroutine, home):
    """Returns the keys in the store."""

    async def read():
        store = await open_store(f"sqlite:///{home}/s.db", {})
        try:
            return await store.api_keys()
        finally:
            await store.close()

    return run_coroutine(read())


@pytest.fixture
def place(home, monkeypatch):
    monkeypatch.setenv("UNSPOOL_STORE", f"sqlite:///{home}/s.db")
    return home


def test_a_key_is_created_listed_and_revoked(unspool, place, run_coroutine):
    made = unspool(
        "keys", "create", "--name", "ci", "--scope", "start", "--scope", "read", "--tenant", "shop"
    )
    credential = parse_credential(made.stdout.strip())
    assert (made.code, made.stderr) == (0, f"key {credential.id} was created; it is not shown again\n")
    [key] = stored(run_coroutine, place)
    assert (key.name, key.tenant, key.scopes) == ("ci", "shop", ("read", "start"))
    assert key.sha256 == sha256_of_secret(credential.secret)
    assert key.created_by.startswith("cli")
    assert key.expires_at is None

    listed = unspool("keys", "list")
    assert re.search(rf"{credential.id} +ci +shop +read,start ", listed.stdout)
    assert credential.secret not in listed.stdout
    assert unspool("keys", "list", "--json").lines[0]["id"] == credential.id

    assert unspool("keys", "revoke", credential.id).code == 0
    again = unspool("keys", "revoke", credential.id)
    assert (again.code, "unspool keys list" in again.stderr) == (2, True)
    assert stored(run_coroutine, place) == []


def test_a_key_of_all_tenants_that_expires(unspool, place, run_coroutine):
    made = unspool(
        "keys", "create", "--name", "ops", "--scope", "admin", "--all-tenants", "--expires", "90d", "--json"
    )
    assert made.json["tenant"] is None
    assert parse_credential(made.json["key"])
    [key] = stored(run_coroutine, place)
    assert key.tenant is None
    days_90 = 90 * 86_400_000
    assert days_90 - 60_000 < key.expires_at - key.created_at <= days_90


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--name", "a:b", "--scope", "read"], "--name must match"),
        (["--name", "a", "--scope", "root"], "'root' is not one of"),
        (["--name", "a"], "--scope"),
        (["--scope", "read"], "--name"),
        (["--name", "a", "--scope", "read", "--expires", "2001-01-01"], "in the future"),
        (["--name", "a", "--scope", "read", "--expires", "soon"], "a time from now such as"),
    ],
)
def test_an_invalid_key_is_not_created(unspool, place, arguments, message):
    result = unspool("keys", "create", *arguments)
    assert result.code == 2
    assert message in result.stderr


@pytest.mark.parametrize("command", [["api"], ["dev"]])
def test_a_public_address_needs_a_decision(program, place, command):
    result = program(*command, "--port", "0", UNSPOOL_API_HOST="0.0.0.0")
    assert result.code == 2
    assert "UNSPOOL_AUTH=on" in result.stderr
    assert "UNSPOOL_AUTH=off" in result.stderr
    assert "unspool keys create" in result.stderr


def test_an_unknown_mode_is_refused(program, place):
    result = program("api", "--port", "0", UNSPOOL_AUTH="maybe")
    assert (result.code, "UNSPOOL_AUTH must be on or off, not 'maybe'" in result.stderr) == (2, True)


ISSUER = {"UNSPOOL_JWT_ISSUER": "https://login.example.com", "UNSPOOL_JWT_AUDIENCE": "unspool"}


@pytest.mark.parametrize(
    ("host", "settings", "message"),
    [
        ("127.0.0.1", {**ISSUER, "UNSPOOL_AUTH": ""}, "UNSPOOL_AUTH is not on"),
        ("127.0.0.1", {}, "UNSPOOL_OIDC_CLIENT_ID is set, but UNSPOOL_JWT_ISSUER is not"),
        ("127.0.0.1", {**ISSUER, "UNSPOOL_OIDC_SCOPES": "email"}, "must have openid"),
        ("0.0.0.0", ISSUER, "UNSPOOL_OIDC_CLIENT_ID needs UNSPOOL_API_PUBLIC_URL"),
        ("0.0.0.0", {**ISSUER, "UNSPOOL_API_PUBLIC_URL": "https://a.example/x"}, "an origin"),
    ],
)
def test_logins_at_an_issuer_need_settings_that_fit(program, host, settings, message):
    environment = {"UNSPOOL_AUTH": "on", "UNSPOOL_OIDC_CLIENT_ID": "dashboard", **settings}
    result = program("api", "--port", "0", "--host", host, **environment)
    assert (result.code, message in result.stderr) == (2, True), result.stderr


def test_origins_are_checked(program, place):
    for origins in ("*", "app.example.com", "https://a.example/path", "https://a.example?b"):
        result = program("api", "--port", "0", UNSPOOL_CORS_ORIGINS=origins)
        assert (result.code, "UNSPOOL_CORS_ORIGINS must list origins" in result.stderr) == (2, True)


@pytest.mark.parametrize("mode", ["on", "off"])
def test_a_public_address_is_served_after_a_decision(start_program, unspool, place, mode):
    key = unspool("keys", "create", "--name", "ci", "--scope", "read").stdout.strip()
    process = start_program("api", "--port", "0", "--host", "0.0.0.0", UNSPOOL_AUTH=mode)
    with process:
        try:
            port = next(
                found[1] for line in process.stderr if (found := re.search(r"0\.0\.0\.0:(\d+)", line))
            )
            request = urllib.request.Request(f"http://127.0.0.1:{port}/api/v1/executions")
            if mode == "on":
                with pytest.raises(urllib.error.HTTPError, match="401") as refused:
                    urllib.request.urlopen(request)
                refused.value.close()
                request.add_header("Authorization", f"Bearer {key}")
            with urllib.request.urlopen(request) as answer:
                assert answer.status == 200
        finally:
            process.terminate()
            process.communicate(timeout=60)
    assert process.returncode == 0
