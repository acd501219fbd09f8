"""The transport of MCP over the standard input and output of a process ("stdio")."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCError, JSONRPCMessage, JSONRPCRequest, JSONRPCResponse, jsonrpc_message_adapter
from pydantic import ValidationError

from unspool.definitions.errors import WorkflowError, communication, runtime
from unspool.definitions.json_value import Json
from unspool.eventstore.waiting import cancel
from unspool.executor.masking import masked
from unspool.executor.mcp.server_process import ProcessLimits, ServerProcess, ServerProgram, started
from unspool.executor.mcp.transport import Received, Streams
from unspool.executor.outcome import Rejected, reject
from unspool.executor.process_groups import ProcessGroups
from unspool.executor.runs.options import process_options, without_nul


def program_of(stdio: dict[str, Json]) -> ServerProgram:
    """Reads the evaluated arguments of the transport `stdio`. Raises `Rejected`."""
    arguments = stdio.get("arguments")
    if arguments is not None and not isinstance(arguments, list):
        reject("arguments of an MCP server must be a list")
    command = without_nul(stdio["command"], "command")
    if not command.strip():
        reject("the command of an MCP server is empty")
    options = process_options({"arguments": arguments, "environment": stdio.get("environment")})
    return ServerProgram(command, options.arguments, options.environment)


class StdioTransport:
    """See `Transport`. The server runs as long as the streams are open."""

    def __init__(self, program: ServerProgram, limits: ProcessLimits, groups: ProcessGroups) -> None:
        self.failure: WorkflowError | None = None
        self._program = program
        self._limits = limits
        self._groups = groups
        self._waiting: set[str] = set()
        """Ids of requests that the server has not answered."""

    @property
    def label(self) -> str:
        """See `Transport`."""
        return f"the MCP server '{self._program.command}'"

    @property
    def secrets(self) -> tuple[str, ...]:
        """See `Transport`."""
        return tuple(self._program.environment.values())

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Streams]:
        """See `Transport`."""
        to_library, from_server = anyio.create_memory_object_stream[Received](0)
        to_server, from_library = anyio.create_memory_object_stream[SessionMessage](0)
        async with started(self._program, self._limits, self._groups) as server:
            tasks = {
                asyncio.create_task(self._receive(server, to_library)),
                asyncio.create_task(self._send(server, from_library)),
            }
            try:
                yield from_server, to_server
            finally:
                await cancel(tasks)
                for stream in (to_library, from_server, to_server, from_library):
                    stream.close()
        for task in tasks:
            if not task.cancelled():
                task.result()  # raises what a defect has raised

    async def _send(self, server: ServerProcess, messages: MemoryObjectReceiveStream[SessionMessage]) -> None:
        async for each in messages:
            if isinstance(each.message, JSONRPCRequest):
                self._waiting.add(str(each.message.id))
            server.write(each.message.model_dump_json(by_alias=True, exclude_unset=True).encode())

    async def _receive(self, server: ServerProcess, library: MemoryObjectSendStream[Received]) -> None:
        """Gives the library what the server sends. The stream ends when that is not possible any more."""
        async with library:
            try:
                async for line in server.lines():
                    if (message := self._message(line)) is not None:
                        await library.send(SessionMessage(message))
                self.failure = await self._end(server)
            except Rejected as rejected:
                self.failure = rejected.error
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                pass  # the library has ended its side

    def _message(self, line: bytes) -> JSONRPCMessage | None:
        """The message in a line; None if it is only a text for people, which servers should not write."""
        try:
            message = jsonrpc_message_adapter.validate_json(line, by_name=False)
        except ValidationError:
            if not line.lstrip().startswith((b"{", b"[")):
                return None
            raise Rejected(self._error("it has sent something that is not a message of JSON-RPC")) from None
        if isinstance(message, JSONRPCError) and message.id is None:
            raise Rejected(runtime(self._detail(message.error.message), title="MCP error"))
        if isinstance(message, JSONRPCResponse | JSONRPCError):
            if str(message.id) not in self._waiting:
                raise Rejected(self._error("it has answered another request"))
            self._waiting.discard(str(message.id))
        return message

    async def _end(self, server: ServerProcess) -> WorkflowError:
        if server.overflow is not None:
            detail = self._detail(f"it has written too much to {server.overflow}")
            return communication(detail, title="Response too large")
        return communication(self._detail(await server.end()), title="Server ended")

    def _error(self, cause: str) -> WorkflowError:
        return communication(self._detail(cause), title="Unreadable response")

    def _detail(self, cause: str) -> str:
        return masked(f"{self.label}: {cause}", self.secrets)
