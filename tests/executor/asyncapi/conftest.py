"""Calls of AsyncAPI documents against real brokers."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from tests.task_contexts import TextsInMemory, task_context

from unspool.eventstore.records import TaskRequest
from unspool.executor.handlers import default_handlers
from unspool.executor.outcome import Outcome
from unspool.executor.settings import ExecutorSettings

AsyncApi = Callable[..., Awaitable[Outcome]]


def document(url: str, *, address: str = "greetings", version: int = 3, **parts: Any) -> dict[str, Any]:
    """A document with one server, one channel and one operation, `greet`.

    `parts` are members of the `server`, the `channel`, the `operation` and the `message`.
    """
    protocol, _, host = url.partition("://")
    message = {"payload": {"type": "object"}, **parts.get("message", {})}
    if version == 2:
        operation = {"message": message, **parts.get("operation", {})}
        channel = {"publish": operation, "subscribe": operation, **parts.get("channel", {})}
        server = {"url": url, "protocol": protocol, **parts.get("server", {})}
        return {
            "asyncapi": "2.6.0",
            "servers": {"main": server},
            "channels": {address: channel},
            "components": parts.get("components", {}),
        }
    host, _, path = host.partition("/")
    server = {"host": host, "protocol": protocol, **parts.get("server", {})}
    if path:
        server["pathname"] = f"/{path}"
    channel = {"address": address, "messages": {"greeting": message}, **parts.get("channel", {})}
    reference = {"$ref": "#/channels/one"}
    return {
        "asyncapi": "3.0.0",
        "servers": {"main": server},
        "channels": {"one": channel},
        "operations": {"greet": {"action": "send", "channel": reference, **parts.get("operation", {})}},
        "components": parts.get("components", {}),
    }


@pytest.fixture
async def asyncapi(request: pytest.FixtureRequest) -> AsyncIterator[AsyncApi]:
    """Runs a task: `await asyncapi(document, operation="greet", message={…})`. Settings come indirectly."""
    settings = getattr(request, "param", ExecutorSettings())
    texts = TextsInMemory()
    async with default_handlers(settings) as handlers:

        async def call(described: Any, **arguments: Any) -> Outcome:
            text = described if isinstance(described, str) else json.dumps(described)
            sha256 = await texts.put_text("default", text)
            if not {"operation", "channel"} & arguments.keys():
                arguments["operation"] = "greet"
            sent = {**arguments, "$kind": "asyncapi", "$documents": {"document": {"sha256": sha256}}}
            task = TaskRequest("e1", "r1", "/do/0/call", "call", sent)
            return await handlers["asyncapi"](task, task_context(texts))

        yield call
