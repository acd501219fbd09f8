"""Names of cookies: only the exact one is protected by browsers, so only the exact one counts."""

import asyncio
from dataclasses import replace
from urllib.parse import urlencode

import pytest
from tests.api.issuer_flow import CALLBACK, agree, begin, login_at
from tests.api.keys import ON, bearer

PUBLIC = replace(ON, public_url="https://unspool.example.com")


@pytest.fixture
async def locked(store, running_api, issuer, later_clock):
    """An API that browsers reach by https."""
    parts = login_at(issuer, later_clock) | {"authentication": PUBLIC}
    async with running_api(store, **parts) as running:
        yield running


async def get(api, path, *cookies):
    """Sends these bytes as headers `Cookie`; returns the head of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(api.url.rpartition(":")[2]))
    lines = [f"GET {path} HTTP/1.1".encode(), b"Host: 127.0.0.1", b"Connection: close"]
    lines += [b"Cookie: " + cookie for cookie in cookies]
    writer.write(b"\r\n".join([*lines, b"", b""]))
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer.partition(b"\r\n\r\n")[0].decode("latin-1")


OTHERS = [
    [b"\xa0%b"],
    [b"\x85%b"],
    [b"a=b;\xa0%b"],
    [b"a=b; \x85%b"],
    [b"\x0b%b"],
    [b"\x0c%b"],
    [b"\x1c%b"],
    [b"=%b"],
    [b'"%b"'],
    [b"a=b,%b"],
    [b"%b; %b"],
    [b"%b", b"%b"],
    [b"%b; __Host-unspool_session=; __Host-unspool_login="],
]
"""Ways to send what a browser would not send for the cookie, and two cookies of one name."""

EXACT = [[b"%b"], [b"a=b; %b"], [b"a=b;\t%b ;c=d"], [b"a=b", b"%b"], [b"\xa0; %b; =; ;"]]


def sent(form, cookie):
    """Returns the values of headers of a form with a cookie in it."""
    return [value.replace(b"%b", cookie) for value in form]


async def test_a_session_has_the_exact_name(locked, issuer):
    response, _ = await locked.call("POST", "/session", 201, json={"token": issuer.token()})
    cookie = response.headers["Set-Cookie"].partition(";")[0].encode()
    for form in EXACT:
        assert " 200 " in await get(locked, "/api/v1/session", *sent(form, cookie)), form
    name, _, text = cookie.partition(b"=")
    for changed in (name + b" =" + text, name + b"\xa0=" + text, name.lower() + b"=" + text):
        assert " 401 " in await get(locked, "/api/v1/session", changed)
    for form in OTHERS:
        head = await get(locked, "/api/v1/session", *sent(form, cookie))
        assert " 401 " in head or " 400 " in head, form
    await locked.get("/session", headers=bearer(issuer.token()))


async def test_a_login_has_the_exact_name(locked, issuer):
    flow = await begin(locked)
    path = f"{CALLBACK}?{urlencode(await agree(locked, flow))}"
    cookie = flow.cookie["Cookie"].encode()
    for form in OTHERS:
        head = await get(locked, path, *sent(form, cookie))
        assert "/login?error=expired&next=%2F" in head or " 400 " in head, form
    assert issuer.exchanges == 0
    assert "__Host-unspool_session=usk_" in await get(locked, path, cookie)
