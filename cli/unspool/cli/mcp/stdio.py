"""Standard input and output as streams of messages. A line that is no message gets an answer, too.

The library drops such a line, and its sender would wait for an answer without end.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage
from mcp.types import INVALID_REQUEST, PARSE_ERROR, ErrorData, JSONRPCError, RequestId
from pydantic import ValidationError

Received = SessionMessage | Exception


class Streams(NamedTuple):
    """Messages from and to the program that started this one."""

    read: MemoryObjectReceiveStream[Received]
    write: Any
    """The stream of the library; its type is not public."""


@asynccontextmanager
async def standard_streams() -> AsyncIterator[Streams]:
    """Opens standard input and output."""
    send, receive = anyio.create_memory_object_stream[Received](0)
    async with stdio_server() as (read, write), anyio.create_task_group() as group:

        async def relay() -> None:
            with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):  # the server has ended
                async with send:
                    async for item in read:
                        await _pass_on(item, send, write.send)

        group.start_soon(relay)
        async with receive:
            yield Streams(receive, write)
        group.cancel_scope.cancel()


async def _pass_on(
    item: Received,
    send: MemoryObjectSendStream[Received],
    answer: Callable[[SessionMessage], Awaitable[None]],
) -> None:
    if isinstance(item, SessionMessage):
        await send.send(item)
    elif isinstance(item, ValidationError) and (refused := refusal(item)) is not None:
        await answer(SessionMessage(refused))


def refusal(error: ValidationError) -> JSONRPCError | None:
    """Returns the answer to a line that is no message; None for an empty one."""
    found = error.errors(include_url=False)
    line, message = found[0]["input"], found[0]["msg"]
    if found[0]["type"] != "json_invalid":
        whole = next((each["input"] for each in found if each["type"] == "missing"), None)
        return _error(whole, INVALID_REQUEST, "the line is not a message of JSON-RPC")
    if isinstance(line, str) and not line.strip():
        return None
    return _error(_lenient(line), PARSE_ERROR, f"the line cannot be read: {message}")


def _error(message: object, code: int, text: str) -> JSONRPCError:
    return JSONRPCError(jsonrpc="2.0", id=_id(message), error=ErrorData(code=code, message=text))


def _lenient(line: object) -> object:
    """Parses JSON that may have half of a surrogate pair, for the id of its sender; None if it is no JSON."""
    try:
        return json.loads(line) if isinstance(line, str) else None
    except (ValueError, RecursionError):
        return None


def _id(message: object) -> RequestId | None:
    """The id of a request, for whose answer the sender waits; None if it cannot be told."""
    id_ = message.get("id") if isinstance(message, dict) and "method" in message else None
    if isinstance(id_, bool) or not isinstance(id_, str | int):
        return None
    return None if isinstance(id_, str) and any("\ud800" <= each <= "\udfff" for each in id_) else id_
