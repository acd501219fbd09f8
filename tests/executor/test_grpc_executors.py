"""gRPC calls with real executors: a killed one, a deadline, a cancelled task; on both stores."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from tests.greeter import PROTOS, SERVICE, Greeter, greeter

from unspool.eventstore.clock import SystemClock
from unspool.eventstore.events import Event
from unspool.eventstore.ids import new_id
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import Commit, ExecutionKey, Start, TaskRequest, WorkflowRef
from unspool.executor.grpc.proto_files import ProtoFiles

Request = Callable[..., Awaitable[ExecutionKey]]


@pytest.fixture
async def server() -> AsyncIterator[Greeter]:
    async with greeter() as running:
        yield running


@pytest.fixture
def request_call(store: EventStore, server: Greeter) -> Request:
    """Requests a call of SayHello in an execution of its own."""

    async def request(name: str, deadline: int | None = None) -> ExecutionKey:
        files = {file: (PROTOS / "app" / file).read_text() for file in ("greet.proto", "people/person.proto")}
        now = SystemClock().now()
        key = ExecutionKey("default", new_id(now))
        await store.start(Start(key, WorkflowRef("n", "w", "1.0.0"), {}, now))
        sha256 = await store.put_text(key, ProtoFiles("greet.proto", files).to_text())
        arguments = {
            "$kind": "grpc",
            "$documents": {"proto": {"uri": "file:app/greet.proto", "sha256": sha256}},
            "service": {"name": SERVICE, "host": "127.0.0.1", "port": server.port},
            "method": "SayHello",
            "arguments": {"name": name},
        }
        task = TaskRequest(key.id, "r1", "/do/0/greet", "call", arguments, deadline)
        event = Event(1, "task.requested", now, "/do/0/greet", "r1", {})
        await store.commit(
            Commit(key=key, commit_id=new_id(now), expected_version=0, events=(event,), tasks=(task,))
        )
        return key

    return request


@asynccontextmanager
async def executor(store_url: str) -> AsyncIterator[subprocess.Popen[bytes]]:
    """Runs a real executor process."""
    command = [sys.executable, "-m", "unspool.cli", "executor", "--store", store_url]
    process = subprocess.Popen(command, env={**os.environ})
    try:
        yield process
    finally:
        process.kill()
        await asyncio.to_thread(process.wait)


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_a_killed_executor_ends_its_call_and_another_one_makes_it_again(
    store_url, request_call, server
) -> None:
    await request_call("wait")
    async with executor(store_url) as first:
        await until(lambda: server.waiting == 1)
        first.kill()
        await until(lambda: server.cancelled == 1)
    async with executor(store_url):
        await until(lambda: server.waiting == 1)
    await until(lambda: server.cancelled == 2)
    assert len(server.keys) == 2, "it was called once by each executor"
    assert len(set(server.keys)) == 1, "with the same idempotency key"


async def test_a_call_ends_at_the_deadline_of_its_task(store_url, request_call, server) -> None:
    """J11"""
    async with executor(store_url):
        await request_call("Ada")
        await until(lambda: len(server.keys) == 1)  # it has started and compiled the proto
        given_up = time.monotonic() + 60
        while not server.cancelled and time.monotonic() < given_up:
            deadline = SystemClock().now() + 2000  # on a busy machine the first call may begin after it
            await request_call("wait", deadline)
            await until(lambda: server.cancelled > 0 or SystemClock().now() > deadline + 1000)  # noqa: B023
    assert server.cancelled
