"""Hostile senders of webhooks, on raw connections: nothing unverified gets in, nothing causes a 500."""

import asyncio

import pytest
from tests.api.webhooks import HELLO, HELLO_SUM, HOOKS, SECRETS, counts, published, send

from unspool.api.hooks.configuration import Hooks, read_hooks
from unspool.executor.secrets import LocalSecrets

SIGNATURE = b"X-Hub-Signature-256: " + HELLO_SUM.encode()
TEXT = b"Content-Type: text/plain"
CHUNKED = b"Transfer-Encoding: chunked"
CHUNKS = b"d\r\nHello, World!\r\n0\r\n"


@pytest.fixture
async def api(store, run_hooks):
    """The API with webhooks on an empty SQLite store."""
    async with run_hooks(store) as running:
        yield running


async def raw(api, *lines: bytes, body: bytes = HELLO, name: bytes = b"plain") -> int:
    """Sends a request as bytes; returns the status."""
    head = [b"POST /api/v1/hooks/%b HTTP/1.1" % name, b"Host: localhost", b"Connection: close"]
    if not any(line.lower().startswith((b"content-length", b"transfer-encoding")) for line in lines):
        lines = (*lines, b"Content-Length: %d" % len(body))
    reader, writer = await asyncio.open_connection("127.0.0.1", int(api.url.rpartition(":")[2]))
    try:
        writer.write(b"\r\n".join([*head, *lines, b"", body]))
        await writer.drain()
        line = await asyncio.wait_for(reader.readline(), 10)
        return int(line.split()[1])
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("lines", "body", "status"),
    [
        ([SIGNATURE, CHUNKED], CHUNKS + b"\r\n", 202),
        ([CHUNKED, b"Trailer: X-Hub-Signature-256"], CHUNKS + SIGNATURE + b"\r\n\r\n", 401),
        ([SIGNATURE, CHUNKED], CHUNKS + b"X-GitHub-Delivery: 1\r\nContent-Type: a/b\r\n\r\n", 202),
        ([SIGNATURE.replace(b"-", b"_")], HELLO, 401),
        ([b"x-hub-signature-256:\t" + HELLO_SUM.encode() + b" \t"], HELLO, 202),
        ([b"X-Hub-Signature-256:", b" " + HELLO_SUM.encode()], HELLO, 400),
        ([SIGNATURE.replace(b":", b" :")], HELLO, 400),
        ([SIGNATURE + b"\0"], HELLO, 400),
        ([SIGNATURE, b"Content-Length: 13", b"Content-Length: 5"], HELLO, 400),
        ([SIGNATURE, b"Content-Length: 13", CHUNKED], CHUNKS + b"\r\n", 400),
        ([SIGNATURE, b"Content-Length: +13"], HELLO, 400),
        ([SIGNATURE, b"Content-Length: -1"], HELLO, 400),
        ([SIGNATURE, b"Content-Length: 5"], HELLO, 401),
        ([SIGNATURE, b"Content-Length: 9999999"], HELLO, 413),
        ([SIGNATURE, b"Content-Length: 14"], HELLO, 408),
        ([SIGNATURE, b"Content-Type: a/b"], HELLO, 400),
        ([SIGNATURE, b"X-GitHub-Delivery: \xff"], HELLO, 400),
        ([SIGNATURE, b"X-GitHub-Delivery: \xed\xa0\x80"], HELLO, 400),
        ([b"X-Hub-Signature-256: sha256=" + b"\xff" * 64], HELLO, 401),
        ([b"X-Hub-Signature-256: " + b"sha256=" * 20_000], HELLO, 400),
        ([SIGNATURE, b"X-Other: " + b"x" * 60_000], HELLO, 202),
        ([SIGNATURE, b"X-Other: " + b"x" * 1_000_000], HELLO, 400),
        ([SIGNATURE, *[b"X-%d: x" % n for n in range(100_000)]], HELLO, 400),
    ],
)
async def test_requests_on_a_raw_connection(api, lines, body, status):
    assert await raw(api, TEXT, *lines, body=body) == status
    events = await published(api, "other")
    assert [event["data"] for event in events] == [HELLO.decode()] * (status == 202)
    assert all(event["datacontenttype"] == "text/plain" and event["id"] != "1" for event in events)
    result = {202: "accepted", 401: "unauthorized"}.get(status, "rejected")
    assert await counts(api) in ({}, {("plain", result): 1})


async def test_an_endless_trailer_ends_the_connection(api):
    _, writer = await asyncio.open_connection("127.0.0.1", int(api.url.rpartition(":")[2]))
    writer.write(b"POST /api/v1/hooks/plain HTTP/1.1\r\nHost: localhost\r\n" + CHUNKED + b"\r\n\r\n" + CHUNKS)

    async def send_endlessly():
        while True:
            writer.write(b"x" * 10_000)
            await writer.drain()
            await asyncio.sleep(0)

    with pytest.raises(ConnectionError):
        await asyncio.wait_for(send_endlessly(), 10)
    writer.close()
    assert await published(api, "other") == []


async def test_a_long_body_has_no_limit_of_headers(api):
    """Chunks of a body, also small ones, are not counted as headers."""
    body = b"1\r\nx\r\n" * 20_000 + b"0\r\n\r\n"
    assert await raw(api, TEXT, CHUNKED, body=body, name=b"open") == 202
    [event] = await published(api)
    assert event["data"] == "x" * 20_000


async def test_a_secret_that_is_not_utf_8(store, running_api):
    """Such a value of an environment variable has lone surrogates in Python."""
    secrets = LocalSecrets({f"UNSPOOL_SECRET_{name}": "a\udcff" for name in SECRETS})
    async with running_api(store, hooks=Hooks(read_hooks(HOOKS.encode(), "f"), secrets)) as api:
        assert await raw(api, TEXT, b"Authorization: Bearer a\xff", name=b"bearer") == 202
        assert await raw(api, TEXT, b"Authorization: Bearer a\xfe", name=b"bearer") == 401
        assert await raw(api, TEXT, SIGNATURE) == 401
        await send(api, "standard", 401, webhook_signature="v1,", webhook_id="a", webhook_timestamp="1")
