"""Calls of OpenAPI and A2A go on when their executor is killed, with the document that was fetched."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from aiohttp import web
from tests.executor.openapi_documents import openapi_3

from unspool.eventstore.clock import SystemClock
from unspool.eventstore.consumers import Consumer
from unspool.eventstore.events import Event
from unspool.eventstore.ids import new_id
from unspool.eventstore.records import Commit, ExecutionKey, MessageKind, Start, TaskRequest, WorkflowRef
from unspool.eventstore.sqlite.settings import SqliteSettings
from unspool.eventstore.sqlite.store import SqliteStore


def executor(store: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "unspool.cli", "executor", "--store", f"sqlite:///{store}"]
    return subprocess.Popen(command, env={**os.environ, "UNSPOOL_EXECUTOR_LEASE_SECONDS": "2"})


async def answer_openapi(request: web.Request) -> web.Response:
    return web.json_response({"done": True})


async def answer_a2a(request: web.Request) -> web.Response:
    sent = await request.json()
    return web.json_response({"jsonrpc": "2.0", "id": sent["id"], "result": {"done": True}})


@pytest.mark.parametrize(
    ("kind", "name", "answer", "document", "arguments"),
    [
        ("openapi", "document", answer_openapi, openapi_3("/x", {}), {"operationId": "op"}),
        (
            "a2a",
            "agentCard",
            answer_a2a,
            {"url": "/x", "preferredTransport": "JSONRPC"},
            {"method": "message/send", "parameters": {"message": {"parts": [{"kind": "text", "text": "x"}]}}},
        ),
    ],
)
async def test_another_executor_calls_again_with_the_same_key(
    service, tmp_path, kind, name, answer, document, arguments
) -> None:
    arrived = asyncio.Event()

    async def first_never(request: web.Request) -> web.Response:
        arrived.set()
        if len(service.requests) == 1:
            await asyncio.sleep(120)
        return await answer(request)

    service.answers["/x"] = first_never
    store = SqliteStore(tmp_path / "store.sqlite3", SqliteSettings())
    await store.open()
    now = SystemClock().now()
    key = ExecutionKey("default", new_id(now))
    await store.start(Start(key, WorkflowRef("n", "w", "1.0.0"), {}, now))
    pinned = {
        "uri": f"{service.url}/document.json",
        "sha256": await store.put_text(key, json.dumps(document)),
    }
    sent = {"$kind": kind, "$documents": {name: pinned}, **arguments}
    task = TaskRequest(key.id, "r1", "/do/0/call", "call", sent)
    event = Event(1, "task.requested", now, "/do/0/call", "r1", {})
    await store.commit(
        Commit(key=key, commit_id=new_id(now), expected_version=0, events=(event,), tasks=(task,))
    )
    processes = [executor(tmp_path / "store.sqlite3")]
    try:
        await asyncio.wait_for(arrived.wait(), 60)
        processes[0].kill()
        processes.append(executor(tmp_path / "store.sqlite3"))
        async with asyncio.timeout(60):
            while not (found := await _result(store)):
                await asyncio.sleep(0.1)
    finally:
        for process in processes:
            process.kill()
            await asyncio.to_thread(process.wait)
        await store.close()
    assert found == {"run": "r1", "output": {"done": True}}
    assert [request.path for request in service.requests] == ["/x", "/x"]
    keys = {request.headers["Idempotency-Key"] for request in service.requests}
    assert keys == {f"{key.id}/r1"}
    assert service.bodies[0] == service.bodies[1], "for A2A, also the id of the message"


async def _result(store: SqliteStore) -> object:
    """The result of the task, when the execution has it in its inbox."""
    deliveries = await store.receive_messages(Consumer("workers", "w1"), 10, 0)
    found = [each.body.body for each in deliveries if each.body.kind is MessageKind.TASK_COMPLETED]
    return found[0] if found else None
