"""Hostile senders of webhooks, on raw connections: nothing unverified gets in, nothing causes a 500."""

import asyncio

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.api.webhooks import HELLO, HELLO_SUM, HOOKS, NOW, SECRETS, counts, published, send

from unspool.api.hooks.configuration import Hooks, read_hooks
from unspool.api.hooks.event import event_of
from unspool.api.hooks.received import Received
from unspool.api.hooks.verification import Refused
from unspool.api.problems import HttpProblem
from unspool.definitions.cloud_events import problems_of
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
        writer.write(b"\r\n".join([*head, *lines, b"", body]))  # the answer may come before all is sent
        line = await asyncio.wait_for(reader.readline(), 60)
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


async def test_a_body_that_does_not_end(store, run_hooks):
    async with run_hooks(store, body_seconds=0.5) as api:
        assert await raw(api, TEXT, SIGNATURE, b"Content-Length: 14") == 408
        assert await published(api, "other") == []
        assert await counts(api) == {("plain", "rejected"): 1}


async def test_an_endless_trailer_ends_the_connection(api):
    _, writer = await asyncio.open_connection("127.0.0.1", int(api.url.rpartition(":")[2]))
    writer.write(b"POST /api/v1/hooks/plain HTTP/1.1\r\nHost: localhost\r\n" + CHUNKED + b"\r\n\r\n" + CHUNKS)

    async def send_endlessly():
        while True:
            writer.write(b"x" * 10_000)
            await writer.drain()
            await asyncio.sleep(0)

    with pytest.raises(ConnectionError):
        await asyncio.wait_for(send_endlessly(), 60)
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


CONFIGURED = read_hooks(HOOKS.encode(), "f")
BYTES = st.binary(max_size=60) | st.sampled_from(
    [b"sha256=", b"v0=", b"v1,", b"t=1700000000,v1=", b"1700000000", b"Bearer ", HELLO_SUM.encode(), b""]
)
READ = """
x-hub-signature-256 stripe-signature x-slack-signature x-slack-request-timestamp webhook-id webhook-signature
webhook-timestamp x-gitlab-token authorization x-key x-sum x-time x-id content-type content-encoding x-note
x-delivery x-github-event
"""
NAMES = st.sampled_from(READ.split())
KINDS = st.sampled_from([b"application/json", b"text/x", b"application/x-www-form-urlencoded", b"a/b", b""])
BODIES = st.binary(max_size=60) | st.sampled_from(
    [b"{}", b'{"id": []}', b'{"entry": [{"id": 1}]}', b"a=%F", b"&&"]
)


@given(
    headers=st.lists(st.tuples(NAMES, BYTES), max_size=8),
    kind=KINDS,
    body=BODIES,
    name=st.sampled_from(sorted(CONFIGURED)),
)
def test_anything_is_refused_or_makes_a_valid_event(headers, kind, body, name):
    hook = CONFIGURED[name]
    secrets = LocalSecrets({f"UNSPOOL_SECRET_{key}": value for key, value in SECRETS.items()})
    sent = [(key.encode(), value) for key, value in [*headers, ("content-type", kind)]]
    received = Received(sent, body, NOW)
    try:
        repetition = hook.verification.verify(received, secrets)
    except Refused:
        assert hook.kind != "none"
        repetition = None
    else:
        assert hook.kind == "none"  # no signature is right by accident
    try:
        event = event_of(hook, received, repetition)
    except HttpProblem as problem:
        assert problem.status in {400, 415, 422}
    else:
        assert problems_of(event) == []
        assert orjson.loads(orjson.dumps(event)) == event
