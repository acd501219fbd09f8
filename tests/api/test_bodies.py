"""Hostile request bodies: none causes a 500, none is stored."""

import asyncio
from contextlib import suppress

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unspool.api.bodies import decode_json
from unspool.api.problems import HttpProblem
from unspool.eventstore.strict_json import MAX_DEPTH

START = "/workflows/shop/greet/executions"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def deployed(api, greet):
    await api.deploy(greet)
    return api


async def test_a_body_that_is_not_strict_json_is_rejected(deployed):
    for body in [
        b"{",
        b"{'input': 1}",
        b'{"input": NaN}',
        b'{"input": Infinity}',
        b'{"input": 1e400}',
        b'{"input": 9223372036854775808}',
        b'{"input": -9223372036854775809}',
        b'{"input": 1' + b"0" * 5000 + b"}",
        b'{"input": "\\ud800"}',
        b'{"input": "\xff"}',
        b'{"input": "\xed\xa0\x80"}',
        b'{"input": "\x00"}',
        b'{"input": ' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}",
        b'{"input": ' + b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH + b"}",
        b"[" * 50_000 + b"]" * 50_000,
        b"[" * 90_000,
        b'{"input": 1} {"input": 2}',
        b"\xef\xbb\xbf{}",
    ]:
        await deployed.post(START, 400, data=body, headers=JSON)
        assert (await deployed.get("/executions"))["items"] == []


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip"])
async def test_a_compressed_body_is_refused(deployed, encoding):
    headers = {**JSON, "Content-Encoding": encoding}
    problem = await deployed.post(START, 415, data=b"{}", headers=headers)
    assert "Content-Encoding" in problem["detail"]
    await deployed.post(START, 202, data=b"{}", headers={**JSON, "Content-Encoding": "identity"})


async def test_a_json_error_names_its_position(deployed):
    problem = await deployed.post(START, 400, data=b'{"input":\n  oops}', headers=JSON)
    assert "line 2, column 3" in problem["detail"]


async def test_unusual_but_valid_json_is_accepted(deployed):
    for body in [
        b'{"input": 9223372036854775807}',
        b'{"input": -9223372036854775808}',
        b'{"input": "9223372036854775808 is text"}',
        b'{"input": 0.1234567890123456789012}',
        b'{"input": "\\ud83d\\ude00"}',
        b'{"input": ' + b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1) + b"}",
        b'{"input": [' + b",".join([b"{}"] * 2 * MAX_DEPTH) + b"]}",
    ]:
        await deployed.post(START, 202, data=body, headers=JSON)


@given(st.binary(max_size=64) | st.text(max_size=64).map(str.encode))
def test_any_bytes_give_a_value_or_a_problem(body):
    with suppress(HttpProblem):
        assert decode_json(body) == orjson.loads(body)


async def test_other_media_types_are_rejected(deployed):
    for kind in ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data"]:
        problem = await deployed.post(START, 415, data=b"{}", headers={"Content-Type": kind})
        assert kind in problem["detail"]


async def test_json_media_types_are_accepted(deployed):
    for kind in ["application/json; charset=utf-8", "application/cloudevents+json", "APPLICATION/JSON"]:
        await deployed.post(START, 202, data=b"{}", headers={"Content-Type": kind})


async def test_a_body_over_the_limit_is_rejected_unread(deployed, settings):
    reader, writer = await connect(deployed)
    writer.write(head(f"Content-Length: {settings.max_input_bytes + 1}"))
    assert b" 413 " in await asyncio.wait_for(reader.readline(), 60)
    writer.close()


async def test_a_body_of_unknown_length_is_rejected_at_the_limit(deployed, settings):
    async def chunks():
        for _ in range(settings.max_input_bytes // 10_000 + 1):
            yield b" " * 10_000

    await deployed.post(START, 413, data=chunks(), headers=JSON)


async def test_a_body_that_does_not_arrive_times_out(store, running_api):
    async with running_api(store, body_seconds=0.5) as api:
        reader, writer = await connect(api)
        writer.write(head("Content-Length: 100") + b'{"input":')
        assert b" 408 " in await asyncio.wait_for(reader.readline(), 60)
        writer.close()


async def test_a_client_that_disconnects_early_starts_nothing(deployed):
    _, writer = await connect(deployed)
    writer.write(head("Content-Length: 100") + b'{"input":')
    await writer.drain()
    writer.close()
    metrics = deployed.app.state.services.monitor.metrics
    await deployed.eventually(lambda: b'status="400"' in metrics.exposition(), "the request to end")
    assert (await deployed.get("/executions"))["items"] == []


async def test_trailers_are_not_headers(deployed):
    """A proxy in front sets or removes headers; what comes after the body could have passed it."""
    reader, writer = await connect(deployed)
    writer.write(head("Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\nX-Tenant: other\r\n\r\n")
    assert b" 202 " in await asyncio.wait_for(reader.readline(), 60)
    writer.close()
    assert len((await deployed.get("/executions"))["items"]) == 1


async def test_headers_have_a_limit(deployed):
    for line in ("X-Other: " + "x" * 1_000_000, "\r\n".join(f"X-{n}: x" for n in range(100_000))):
        reader, writer = await connect(deployed)
        writer.write(head(line, "Content-Length: 0"))
        assert b" 400 " in await asyncio.wait_for(reader.readline(), 60)
        writer.close()
    assert (await deployed.get("/executions"))["items"] == []


async def connect(api):
    return await asyncio.open_connection("127.0.0.1", int(api.url.rpartition(":")[2]))


def head(*lines: str) -> bytes:
    first = f"POST /api/v1{START} HTTP/1.1"
    return "\r\n".join([first, "Host: localhost", "Content-Type: application/json", *lines, "", ""]).encode()
