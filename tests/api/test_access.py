"""API keys: who may send which request."""

import asyncio
import json
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.api.keys import ON, bearer, key_for

from unspool.api.access import ACCESS, PUBLIC
from unspool.api.app import RESOURCES
from unspool.api.authentication import failure_limit
from unspool.eventstore.api_keys import Scope, parse_credential

DEADLINE_SECONDS = 60

ACCESS_PAGE = Path(__file__).parents[2] / "docs/access.md"

UNKNOWN = f"usk_{'0' * 16}_{'A' * 43}"


@pytest.fixture
async def locked(store, running_api):
    """An API with authentication, on an empty store."""
    async with running_api(store, authentication=ON) as running:
        yield running


def test_every_route_declares_what_it_requires():
    declared = {path: set(methods) for path, methods in ACCESS.items()}
    assert declared == {path: set(handlers) for path, handlers in RESOURCES.items()}


def test_public_routes_are_known():
    public = {
        (method, path) for path, by in ACCESS.items() for method, access in by.items() if access == PUBLIC
    }
    assert public == {
        ("POST", "/api/v1/hooks/{name}"),
        ("POST", "/api/v1/session"),
        ("GET", "/api/v1/session/login"),
        ("GET", "/api/v1/session/callback"),
        ("GET", "/health/live"),
        ("GET", "/health/ready"),
        ("GET", "/api/diagram.css"),
        ("GET", "/api/openapi.json"),
        ("GET", "/api/docs"),
    }


async def test_requests_without_a_valid_credential_are_refused(locked, store):
    good = await key_for(store, "admin")
    wrong = good[:-1] + ("A" if good[-1] != "A" else "B")
    sent = [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": f"Basic {good}"},
        {"Authorization": "Bearer ey.ey.sig"},
        {"Authorization": "Bearer " + "x" * 10_000},
        {"X-Tenant": "default"},
        {"Cookie": f"unspool_session={good}"},
        bearer(wrong),
    ]
    for headers in sent:
        response, problem = await locked.call("GET", "/executions", 401, headers=headers)
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert good not in json.dumps(problem)
    await locked.get("/executions", headers=bearer(good))


async def test_every_private_route_needs_a_credential_and_its_scope(locked, store):
    nothing_else = {Scope.READ: "start", Scope.START: "read", Scope.OPERATE: "start", Scope.ADMIN: "operate"}
    keys = {scope: await key_for(store, scope) for scope in ("read", "start", "operate")}
    for path, by_method in ACCESS.items():
        for method, access in by_method.items():
            address = "/" + path.format(namespace="n", name="w", version="1", id="x", position="1-0")
            if access.public:
                continue
            await locked.call(method, address, 401)
            if access.scope is None:
                continue
            response, problem = await locked.call(
                method, address, 403, headers=bearer(keys[nothing_else[access.scope]])
            )
            assert problem["scope"] == access.scope
            assert f'scope="{access.scope}"' in response.headers["WWW-Authenticate"]


async def test_the_page_lists_the_routes_that_need_no_credential(locked):
    text = ACCESS_PAGE.read_text().partition("need no key.")[2].partition("\n## ")[0]
    listed = set(re.findall(r"`([A-Z]+) (/[^`]*)`", text))
    served = set()
    for path, by_method in ACCESS.items():
        address = "/" + path.format(namespace="n", name="w", version="1", id="x", position="1-0")
        for method in by_method:
            response, _ = await locked.call(method, address)
            if response.status != 401:
                served.add((method, path))
    assert listed == served


async def test_public_routes_need_no_credential(locked):
    await locked.get("//health/live")
    assert await locked.get("//health/ready") == {"status": "ready"}
    await locked.get("//api/openapi.json")
    await locked.get("//api/docs")


async def test_a_scope_allows_what_it_says(locked, store, greet):
    admin = bearer(await key_for(store, "admin"))
    operator = bearer(await key_for(store, "operate"))
    starter = bearer(await key_for(store, "start"))
    reader = bearer(await key_for(store, "read"))
    await locked.deploy(greet, headers=admin)
    await locked.deploy(greet, expect=403, headers=operator)
    path = "/workflows/shop/greet/executions"
    await locked.post(path, 202, json={"id": "one"}, headers=starter)
    await locked.post(path, 403, json={"id": "two"}, headers=reader)
    await locked.get("/executions/one", 403, headers=starter)
    await locked.get("/executions/one", headers=reader)
    await locked.post("/executions/one/cancel", 403, headers=reader)
    await locked.post("/executions/one/cancel", 202, headers=operator)
    await locked.post(path, 202, json={"id": "three"}, headers=admin)


async def test_the_tenant_is_that_of_the_key(locked, store, greet):
    admin = bearer(await key_for(store, "admin", tenant="shop"))
    await locked.deploy(greet, headers=admin)
    await locked.post("/workflows/shop/greet/executions", 202, json={"id": "one"}, headers=admin)
    assert (await locked.get("/executions/one", headers=admin))["tenant"] == "shop"

    stranger = bearer(await key_for(store, "admin", tenant="bank"))
    await locked.get("/executions/one", 404, headers=stranger)
    await locked.get("/executions/one", 403, headers={**stranger, "X-Tenant": "shop"})
    await locked.get("/executions/one", headers={**admin, "X-Tenant": "shop"})


async def test_a_key_of_all_tenants_chooses_one(locked, store, greet):
    root = bearer(await key_for(store, "admin", tenant=None))
    await locked.deploy(greet, headers={**root, "X-Tenant": "shop"})
    assert len((await locked.get("/workflows", headers={**root, "X-Tenant": "shop"}))["items"]) == 1
    assert (await locked.get("/workflows", headers=root))["items"] == []


async def test_metrics_of_the_whole_store_need_a_key_of_all_tenants(locked, store):
    await locked.get("//metrics", 403, headers=bearer(await key_for(store, "admin", tenant="shop")))
    await locked.get("//metrics", headers=bearer(await key_for(store, "read", tenant=None)))


async def test_an_expired_key_is_refused(locked, store):
    past, future = await store.now() - 1, await store.now() + 3_600_000
    await locked.get("/executions", 401, headers=bearer(await key_for(store, "read", expires_at=past)))
    await locked.get("/executions", headers=bearer(await key_for(store, "read", expires_at=future)))


async def test_keys_are_created_listed_and_revoked(locked, store, caplog):
    caplog.set_level("INFO")
    admin = bearer(await key_for(store, "admin", tenant="shop", name="root"))
    asked = {"name": "ci", "scopes": ["start", "read"], "expiresAt": "2999-01-01T00:00:00Z"}
    made = await locked.post("/keys", 201, json=asked, headers=admin)
    secret = made.pop("key")
    assert made["scopes"] == ["read", "start"]
    assert (made["tenant"], made["createdBy"]) == ("shop", "key:root")
    await locked.get("/executions", headers=bearer(secret))

    listed = (await locked.get("/keys", headers=admin))["items"]
    assert made in listed
    assert [key["name"] for key in listed] == ["root", "ci"]
    assert "sha256" not in listed[0]
    assert parse_credential(secret).secret not in json.dumps(listed)

    await locked.call("DELETE", f"/keys/{made['id']}", 204, headers=admin)
    await locked.call("DELETE", f"/keys/{made['id']}", 404, headers=admin)
    await locked.get("/executions", 401, headers=bearer(secret))
    logged = [(each.action, each.by, each.key) for each in caplog.records if hasattr(each, "key")]
    assert logged == [("key_created", "key:root", made["id"]), ("key_revoked", "key:root", made["id"])]
    assert secret not in caplog.text


async def test_a_key_can_end_as_late_as_any_time(locked, store):
    admin = bearer(await key_for(store, "admin"))
    asked = {"name": "ci", "scopes": ["read"], "expiresAt": "9999-12-31T23:59:59-14:00"}
    made = await locked.post("/keys", 201, json=asked, headers=admin)
    assert made["expiresAt"] == "9999-12-31T23:59:59.999Z"
    assert len((await locked.get("/keys", headers=admin))["items"]) == 2
    await locked.get("/executions", headers=bearer(made["key"]))


async def test_a_key_of_one_tenant_manages_only_the_keys_of_its_tenant(locked, store):
    shop = bearer(await key_for(store, "admin", tenant="shop", name="shop"))
    await key_for(store, "admin", tenant=None, name="root")
    bank = await key_for(store, "admin", tenant="bank", name="bank")
    bank_id = bank.split("_")[1]

    for tenant in ("bank", None):
        asked = {"name": "x", "scopes": ["read"], "tenant": tenant}
        await locked.post("/keys", 403, json=asked, headers=shop)
    await locked.call("DELETE", f"/keys/{bank_id}", 404, headers=shop)
    assert [key["name"] for key in (await locked.get("/keys", headers=shop))["items"]] == ["shop"]
    await locked.get("/executions", headers=bearer(bank))


@pytest.mark.parametrize(
    "asked",
    [
        [],
        {},
        {"name": "ci"},
        {"name": "ci", "scopes": []},
        {"name": "ci", "scopes": "read"},
        {"name": "ci", "scopes": ["root"]},
        {"name": "ci", "scopes": [{}]},
        {"name": "a:b", "scopes": ["read"]},
        {"name": "x" * 64, "scopes": ["read"]},
        {"name": "ci", "scopes": ["read"], "tenant": "a/b"},
        {"name": "ci", "scopes": ["read"], "expiresAt": "tomorrow"},
        {"name": "ci", "scopes": ["read"], "expiresAt": 7},
        {"name": "ci", "scopes": ["read"], "expiresAt": "2001-01-01"},
        {"name": "ci", "scopes": ["read"], "id": "mine"},
    ],
)
async def test_an_invalid_key_is_not_created(locked, store, asked):
    await locked.post("/keys", 422, json=asked, headers=bearer(await key_for(store, "admin")))
    assert len(await store.api_keys()) == 1


async def test_a_revoked_key_is_refused_after_the_time_of_the_cache(store, running_api):
    key = await key_for(store, "read")
    async with running_api(store, authentication=replace(ON, cache_seconds=0.5)) as running:
        await running.get("/executions", headers=bearer(key))
        await store.delete_api_key(key.split("_")[1])
        async with asyncio.timeout(DEADLINE_SECONDS):
            while (await running.call("GET", "/executions", headers=bearer(key)))[0].status == 200:
                await asyncio.sleep(0.02)


async def test_a_remembered_key_needs_no_store(store, running_api):
    key = await key_for(store, "read")
    async with running_api(store, authentication=replace(ON, cache_seconds=3600)) as running:
        await running.get("/session", headers=bearer(key))
        await store.close()
        await running.get("/session", headers=bearer(key))
        await running.get("/session", 503, headers=bearer(UNKNOWN))


async def test_a_stream_ends_when_its_key_is_revoked(locked, store):
    key = await key_for(store, "read")
    url = f"{locked.url}/api/v1/events/stream"
    async with locked.session.get(url, headers=bearer(key)) as response:
        assert await response.content.readline() == b": events\n"
        await store.delete_api_key(key.split("_")[1])
        async with asyncio.timeout(DEADLINE_SECONDS):
            await response.content.read()


async def test_a_stream_ends_when_the_store_cannot_be_asked(locked, store):
    url = f"{locked.url}/api/v1/events/stream"
    async with locked.session.get(url, headers=bearer(await key_for(store, "read"))) as response:
        assert await response.content.readline() == b": events\n"
        await store.close()
        async with asyncio.timeout(DEADLINE_SECONDS):
            await response.content.read()


async def test_wrong_credentials_are_limited_but_not_known_keys(store, running_api):
    key = await key_for(store, "read")
    async with running_api(store, authentication=replace(ON, cache_seconds=3600)) as running:
        await running.get("/executions", headers=bearer(key))
        async with asyncio.timeout(DEADLINE_SECONDS):
            while True:
                response, _ = await running.call("GET", "/executions", headers=bearer(UNKNOWN))
                if response.status == 429:
                    break
        assert int(response.headers["Retry-After"]) >= 1
        await running.get("/executions", headers=bearer(key))


async def test_wrong_secrets_of_a_known_key_are_limited(store, running_api, monkeypatch):
    monkeypatch.setattr(failure_limit, "SECONDS", 3600.0)
    key = await key_for(store, "read")
    wrong = key[:-43] + "A" * 43
    async with running_api(store, authentication=replace(ON, cache_seconds=3600)) as running:
        await running.get("/executions", headers=bearer(key))
        for _ in range(failure_limit.BURST):
            await running.get("/executions", 401, headers=bearer(wrong))
        await running.get("/executions", 429, headers=bearer(wrong))
        await running.get("/executions", headers=bearer(key))


def test_an_address_waits_for_one_attempt_however_many_fail_at_once():
    limit = failure_limit.FailureLimit(lambda: 7.0)
    for _ in range(500):
        limit.count("192.0.2.1")
    assert limit.seconds_to_wait("192.0.2.1") == failure_limit.SECONDS


async def test_the_requests_of_a_key_are_limited(store, running_api):
    limited, other = await key_for(store, "read"), await key_for(store, "read")
    strict = replace(ON, key_rate=0.001, key_burst=3)
    async with running_api(store, authentication=strict) as running:
        began = time.monotonic()
        for _ in range(3):
            await running.get("/executions", headers=bearer(limited))
        response, problem = await running.call("GET", "/executions", 429, headers=bearer(limited))
        assert 1000 - (time.monotonic() - began) <= int(response.headers["Retry-After"]) <= 1000
        assert "0.001 requests a second" in problem["detail"]
        await running.get("/executions", headers=bearer(other))


async def test_the_limit_of_a_key_holds_over_all_processes(store, running_api):
    key = await key_for(store, "read")
    strict = replace(ON, key_rate=0.001, key_burst=2)
    async with (
        running_api(store, authentication=strict) as one,
        running_api(store, authentication=strict) as two,
    ):
        await one.get("/executions", headers=bearer(key))
        await two.get("/executions", headers=bearer(key))
        await one.get("/executions", 429, headers=bearer(key))


async def test_pages_of_allowed_sites_may_call_the_api(store, running_api):
    page = {"Origin": "https://app.example.com"}
    async with running_api(store, authentication=ON, cors_origins="https://app.example.com") as running:
        key = await key_for(store, "read", "start")
        asked = {
            **page,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization",
        }
        async with running.session.options(f"{running.url}/api/v1/events", headers=asked) as response:
            assert response.status == 200
            assert response.headers["Access-Control-Allow-Origin"] == page["Origin"]
            assert "Access-Control-Allow-Credentials" not in response.headers
        await running.post("/events", 202, json=event(), headers={**page, **bearer(key)})
        response, _ = await running.call("GET", "/executions", 200, headers={**page, **bearer(key)})
        assert response.headers["Access-Control-Allow-Origin"] == page["Origin"]

        await running.post("/session", 403, json={"token": key}, headers=page)
        other = {"Origin": "https://evil.example", **bearer(key)}
        await running.post("/events", 403, json=event(), headers=other)
        response, _ = await running.call("GET", "/executions", 200, headers=other)
        assert "Access-Control-Allow-Origin" not in response.headers


def event() -> dict[str, str]:
    return {"specversion": "1.0", "id": "1", "source": "/page", "type": "clicked"}


async def test_who_is_asked(api, locked, store):
    assert await api.get("/session") == {
        "name": "anonymous",
        "scopes": ["read", "start", "operate", "admin"],
        "tenant": None,
        "authentication": False,
        "csrf": None,
        "expiresAt": None,
    }
    key = await key_for(store, "operate", tenant="shop", name="ada")
    assert await locked.get("/session", headers=bearer(key)) == {
        "name": "key:ada",
        "scopes": ["read", "start", "operate"],
        "tenant": "shop",
        "authentication": True,
        "csrf": None,
        "expiresAt": None,
    }


async def test_an_unknown_id_and_a_wrong_secret_get_the_same_answer(locked, store):
    key = await key_for(store, "read")
    wrong = key[:-1] + ("A" if key[-1] != "A" else "B")
    answers = [
        (await locked.call("GET", "/executions", 401, headers=bearer(token)))[1] for token in (wrong, UNKNOWN)
    ]
    assert answers[0] == answers[1]


async def test_keys_do_not_reach_the_log(locked, store, caplog):
    key = await key_for(store, "read")
    caplog.set_level("DEBUG")
    await locked.get("/executions", headers=bearer(key))
    await locked.get("/executions", 401, headers=bearer(key + "x"))
    assert parse_credential(key).secret not in caplog.text


async def test_a_closed_store_is_not_a_wrong_key(locked, store):
    key = await key_for(store, "read")
    await store.close()
    await locked.get("/executions", 503, headers=bearer(key))
