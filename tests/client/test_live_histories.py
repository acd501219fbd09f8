"""A live history over connections that break."""

import asyncio
import json

from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st

from unspool.client import AsyncClient
from unspool.client.server_sent_events import SseParser

TYPES = ("workflow.started", "task.created", "workflow.completed")


def frame(seq: int) -> bytes:
    event = {
        "seq": seq,
        "type": TYPES[seq - 1],
        "time": "2026-01-01T00:00:00.000Z",
        "task": None,
        "run": None,
    }
    return f"id: {seq}\ndata: {json.dumps({**event, 'data': {}})}\n\n".encode()


async def test_a_history_resumes_after_the_last_whole_event() -> None:
    asked: list[str] = []

    async def stream(request: web.Request) -> web.StreamResponse:
        asked.append(request.headers["Last-Event-ID"])
        after = int(asked[-1])
        if after == len(TYPES):
            return web.Response(status=204)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b": events\n\n" + frame(after + 1) + frame(min(after + 2, 3))[:20])
        assert request.transport is not None
        request.transport.close()  # in the middle of the next event
        return response

    app = web.Application()
    app.router.add_get("/api/v1/executions/it/events/stream", stream)
    server = TestServer(app)
    await server.start_server()
    async with asyncio.timeout(60), AsyncClient(str(server.make_url("/"))) as client:
        seqs = [event.seq async for event in client.events("it")]
    await server.close()
    assert seqs == [1, 2, 3]
    assert sorted(set(asked)) == ["0", "1", "2", "3"]


PARTS = st.lists(st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"])), max_size=5)


@given(PARTS, st.lists(st.integers(1, 7), min_size=1))
def test_events_are_the_same_however_the_bytes_arrive(texts: list[str], sizes: list[int]) -> None:
    whole = b": events\n\n" + b"".join(f"id: 1\ndata: {text}\n\n".encode() for text in texts)
    parser, found, at = SseParser(), [], 0
    while at < len(whole):
        size = sizes[at % len(sizes)]
        found += parser.feed(whole[at : at + size])
        at += size
    assert [frame.data.decode() for frame in found] == texts
