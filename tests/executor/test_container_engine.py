"""`run: container` with engines that fail, answer nonsense or too much."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from tests.task_contexts import task_context

from unspool.eventstore.records import TaskRequest
from unspool.executor.handlers import default_handlers
from unspool.executor.outcome import Completed, Faulted, Outcome
from unspool.executor.settings import ExecutorSettings

Answer = Callable[[str], bytes]


def answer(body: object, status: int = 200) -> bytes:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return (
        f"HTTP/1.1 {status} X\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n".encode()
        + content
    )


def usual(target: str) -> bytes:
    """What a container answers that prints a line and ends with code 0."""
    if target.endswith("/attach?stream=1&stdout=1&stderr=1"):
        return b"HTTP/1.1 101 UPGRADED\r\n\r\n" + frame(b"hello\n")
    if target.startswith("/containers/json"):
        return answer([])
    return answer({"Id": "c1", "StatusCode": 0, "Config": {}}, 201 if "create" in target else 200)


def frame(data: bytes, stream: int = 1) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


@asynccontextmanager
async def engine(*rules: tuple[str, bytes]) -> AsyncIterator[tuple[str, list[str]]]:
    """An engine that answers as usual, except to targets that contain one of the texts."""
    seen: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, target, _ = head.split(" ", 2)
        seen.append(f"{method} {target.partition('?')[0]}")
        writer.write(next((reply for part, reply in rules if part in f"{method} {target}"), usual(target)))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}", seen


async def outcome_with(*rules: tuple[str, bytes], **arguments) -> tuple[Outcome, list[str]]:
    async with engine(*rules) as (address, seen):
        settings = ExecutorSettings(allow="container", container_host=address, shell_max_output_bytes=1000)
        async with default_handlers(settings) as handlers:
            request = TaskRequest("e", "r", "/do/0/x", "container", {"image": "alpine", **arguments})
            return await handlers["container"](request, task_context()), seen


def kind(outcome: Outcome) -> tuple[str, int]:
    assert isinstance(outcome, Faulted), outcome
    return outcome.error.type.rpartition("/")[2], outcome.error.status


async def test_the_requests_of_a_container() -> None:
    outcome, seen = await outcome_with(lifetime={"cleanup": "always"})
    assert outcome == Completed("hello")
    assert seen[:4] == [
        "GET /containers/json",
        "GET /images/docker.io/library/alpine:latest/json",
        "POST /containers/create",
        "POST /containers/c1/attach",
    ]
    assert seen[4:] == ["POST /containers/c1/start", "POST /containers/c1/wait", "DELETE /containers/c1"]


@pytest.mark.parametrize("target", ["containers/json", "/images/", "/create", "/start", "/attach", "/wait"])
@pytest.mark.parametrize(
    "reply",
    [b"", b"nonsense\r\n\r\n", answer(b"<html>"), answer([1]), answer(b" " * 5_000_000)],
    ids=["nothing", "no HTTP", "no JSON", "other JSON", "too much"],
)
async def test_an_engine_that_does_not_keep_to_its_api(target, reply) -> None:
    outcome, _ = await outcome_with((target, reply))
    if isinstance(outcome, Completed):  # the body of the answer does not matter
        assert target in {"/start", "/attach"}
        return
    assert kind(outcome) in {("communication", 500), ("runtime", 500)}
    assert len(outcome.error.detail or "") < 1000


@pytest.mark.parametrize("target", ["containers/json", "/create", "/start"])
async def test_a_refusal_is_an_error_with_its_message(target) -> None:
    outcome, seen = await outcome_with((target, answer({"message": "not today " * 1000}, 500)))
    assert isinstance(outcome, Faulted)
    assert "not today" in outcome.error.detail
    assert len(outcome.error.detail) < 1000
    assert ("POST /containers/c1/stop" in seen) == (target == "/start")


async def test_a_failed_pull_is_a_communication_error() -> None:
    lines = b'{"status": "pulling"}\n{"error": "no such manifest"}\n'
    outcome, _ = await outcome_with(("POST /images/create", answer(lines)), pullPolicy="always")
    assert kind(outcome) == ("communication", 500)
    assert outcome.error.detail.endswith("cannot be fetched: no such manifest")


async def test_too_much_output_stops_the_container() -> None:
    streams = b"HTTP/1.1 101 UPGRADED\r\n\r\n" + frame(b"x" * 5000, 2)
    outcome, seen = await outcome_with(("/attach", streams))
    assert outcome.error.title == "Output too large"
    assert seen[-1] == "POST /containers/c1/stop"
