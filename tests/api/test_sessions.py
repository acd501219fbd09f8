"""The login of a browser: a cookie, its token, and its end."""

import asyncio
from dataclasses import replace

import pytest
from tests.api.keys import ON, bearer, key_for

from unspool.eventstore.api_keys import parse_credential

DEADLINE_SECONDS = 60


@pytest.fixture
async def locked(store, running_api):
    """An API with authentication, on an empty store."""
    async with running_api(store, authentication=ON) as running:
        yield running


async def log_in(api, key, **headers):
    """Logs in; returns the cookie as a header and the body of the answer."""
    response, body = await api.call("POST", "/session", 201, json={"token": key}, headers=headers)
    cookie = response.headers["Set-Cookie"]
    return {"Cookie": cookie.partition(";")[0]}, body, cookie


def from_page(api, cookie, body):
    """Headers as the API's own page sends them."""
    return {**cookie, "Origin": api.url, "X-CSRF-Token": body["csrf"]}


async def test_a_key_is_exchanged_for_a_cookie(locked, store):
    key = await key_for(store, "operate", name="ada")
    cookie, body, set_cookie = await log_in(locked, key)

    assert (body["name"], body["tenant"]) == ("key:ada", "default")
    assert body["scopes"] == ["read", "start", "operate"]
    for attribute in ("HttpOnly", "SameSite=strict", "Path=/", "Max-Age=43200"):
        assert attribute in set_cookie
    assert parse_credential(key).secret not in set_cookie
    seen = await locked.get("/session", headers=cookie)
    assert seen == body
    await locked.get("/executions", headers=cookie)
    await locked.get("/keys", 403, headers=cookie)


async def test_an_operator_ends_the_sessions_of_a_name(locked, store):
    ada, bob = [(await log_in(locked, await key_for(store, "read", name=name)))[0] for name in ("ada", "bob")]
    for session in await store.sessions():
        if session.name == "key:ada":
            await store.delete_session(session.id)
    await locked.get("/executions", 401, headers=ada)
    await locked.get("/executions", headers=bob)


async def test_by_https_the_cookie_is_bound_to_the_host(store, running_api):
    key = await key_for(store, "read")
    async with running_api(store, authentication=replace(ON, https=True)) as running:
        cookie, body, set_cookie = await log_in(running, key)
        assert set_cookie.startswith("__Host-unspool_session=")
        assert "Secure" in set_cookie
        assert "Domain" not in set_cookie
        await running.get("/executions", headers=cookie)
        plain = cookie["Cookie"].removeprefix("__Host-")
        await running.get("/executions", 401, headers={"Cookie": plain})
        by_http = from_page(running, cookie, body)
        await running.call("DELETE", "/session", 403, headers=by_http)
        by_https = by_http | {"Origin": running.url.replace("http:", "https:")}
        await running.call("DELETE", "/session", 204, headers=by_https)


async def test_a_proxy_on_this_machine_says_that_browsers_use_https(locked, store):
    key = await key_for(store, "read")
    _, _, set_cookie = await log_in(locked, key, **{"X-Forwarded-Proto": "https"})
    assert set_cookie.startswith("__Host-")
    response, _ = await locked.call("GET", "//health/live", headers={"X-Forwarded-Proto": "https"})
    assert "max-age" in response.headers["Strict-Transport-Security"]
    response, _ = await locked.call("GET", "//health/live")
    assert "Strict-Transport-Security" not in response.headers


async def test_an_unsafe_request_needs_the_origin_and_the_token(locked, store, greet):
    cookie, body, _ = await log_in(locked, await key_for(store, "admin"))
    good = from_page(locked, cookie, body)
    for changes in (
        {"Origin": None},
        {"X-CSRF-Token": None},
        {"X-CSRF-Token": ""},
        {"X-CSRF-Token": "ä"},
        {"X-CSRF-Token": "0" * 64},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": locked.url.removeprefix("http:")},
        {"Origin": locked.url.replace("http:", "javascript:")},
    ):
        headers = {name: value for name, value in (good | changes).items() if value is not None}
        await locked.deploy(greet, expect=403, headers=headers)
    await locked.deploy(greet, headers=good)


async def test_the_token_of_another_session_is_refused(locked, store, greet):
    key = await key_for(store, "admin")
    cookie, _, _ = await log_in(locked, key)
    _, other, _ = await log_in(locked, key)
    await locked.deploy(greet, expect=403, headers=from_page(locked, cookie, other))


async def test_a_key_needs_no_token(locked, store, greet):
    await locked.deploy(greet, headers=bearer(await key_for(store, "admin")))


async def test_a_session_is_ended(locked, store):
    cookie, body, _ = await log_in(locked, await key_for(store, "read"))
    await locked.call("DELETE", "/session", 403, headers=cookie)
    response, _ = await locked.call("DELETE", "/session", 204, headers=from_page(locked, cookie, body))
    assert "Max-Age=0" in response.headers["Set-Cookie"]
    await locked.get("/session", 401, headers=cookie)
    key = await key_for(store, "read")
    await locked.call("DELETE", "/session", 409, headers=bearer(key))


async def test_a_login_ends_the_former_session(locked, store):
    key = await key_for(store, "read")
    first, _, _ = await log_in(locked, key)
    second, _, _ = await log_in(locked, key, **first)
    await locked.get("/session", 401, headers=first)
    await locked.call("POST", "/session", 401, json={"token": "usk_x"}, headers=second)
    await locked.get("/session", headers=second)


async def test_a_session_ends_with_its_key(locked, store):
    key = await key_for(store, "read")
    cookie, _, _ = await log_in(locked, key)
    await store.delete_api_key(key.split("_")[1])
    _, problem = await locked.call("GET", "/session", 401, headers=cookie)
    assert "revoked" in problem["detail"]


async def test_a_session_does_not_outlive_its_key_or_its_time(store, running_api):
    short = await key_for(store, "read", expires_at=await store.now() + 5000)
    async with running_api(store, authentication=ON) as running:
        cookie, _, _ = await log_in(running, short)
        async with asyncio.timeout(DEADLINE_SECONDS):
            while (await running.call("GET", "/session", headers=cookie))[0].status == 200:
                await asyncio.sleep(0.05)
    long = await key_for(store, "read")
    async with running_api(store, authentication=replace(ON, session_seconds=1)) as running:
        cookie, _, _ = await log_in(running, long)
        async with asyncio.timeout(DEADLINE_SECONDS):
            while (await running.call("GET", "/session", headers=cookie))[0].status == 200:
                await asyncio.sleep(0.05)
        await running.get("/session", headers=bearer(long))


async def test_a_stream_ends_with_its_session(locked, store):
    cookie, body, _ = await log_in(locked, await key_for(store, "read"))
    url = f"{locked.url}/api/v1/events/stream"
    async with locked.session.get(url, headers=cookie) as response:
        assert await response.content.readline() == b": events\n"
        await locked.call("DELETE", "/session", 204, headers=from_page(locked, cookie, body))
        async with asyncio.timeout(DEADLINE_SECONDS):
            await response.content.read()


async def test_a_wrong_login_gets_no_cookie(locked):
    for token in ("", "usk_", f"usk_{'0' * 16}_{'A' * 43}", "a.b.c"):
        response, _ = await locked.call("POST", "/session", 401, json={"token": token})
        assert "Set-Cookie" not in response.headers
    for body in ([], {}, {"token": 7}, {"token": "a", "more": 1}):
        await locked.post("/session", 422, json=body)
    key = {"token": "usk_x"}
    await locked.post("/session", 403, json=key, headers={"Origin": "https://evil.example"})


async def test_wrong_logins_are_limited(locked):
    async with asyncio.timeout(DEADLINE_SECONDS):
        while (await locked.call("POST", "/session", json={"token": "wrong"}))[0].status != 429:
            pass


async def test_without_authentication_there_are_no_sessions(api):
    await api.post("/session", 409, json={"token": "usk_x"})
    await api.call("DELETE", "/session", 409)
