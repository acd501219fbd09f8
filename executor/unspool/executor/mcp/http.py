"""The transport of MCP over HTTP: the streams of messages that the library needs, over an `HttpSession`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCRequest

from unspool.definitions.errors import WorkflowError
from unspool.executor.mcp.http_session import HttpSession
from unspool.executor.mcp.transport import Received, Streams
from unspool.executor.outcome import Rejected


class HttpTransport:
    """See `Transport`."""

    def __init__(self, session: HttpSession) -> None:
        self.failure: WorkflowError | None = None
        self._session = session

    @property
    def label(self) -> str:
        """See `Transport`."""
        url = self._session.pattern.url
        return f"{url.origin()}{url.path}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """See `Transport`."""
        return self._session.pattern.secrets

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Streams]:
        """See `Transport`. With the context, the session ends on the server, too."""
        to_library, from_server = anyio.create_memory_object_stream[Received](0)
        to_server, from_library = anyio.create_memory_object_stream[SessionMessage](0)
        sending = asyncio.create_task(self._send_all(from_library, to_library))
        try:
            yield from_server, to_server
        finally:
            sending.cancel()
            await asyncio.wait({sending})
            for stream in (to_library, from_server, to_server, from_library):
                stream.close()
            if self.failure is None:
                await self._session.end()
        if not sending.cancelled():
            sending.result()  # raises what a defect has raised

    async def _send_all(
        self, messages: MemoryObjectReceiveStream[SessionMessage], library: MemoryObjectSendStream[Received]
    ) -> None:
        async with library, asyncio.TaskGroup() as group:
            async for message in messages:
                if isinstance(message.message, JSONRPCRequest):
                    # A request does not wait for the answer to another: the server may ask the client first.
                    group.create_task(self._send(message, library))
                else:
                    await self._send(message, library)

    async def _send(self, message: SessionMessage, library: MemoryObjectSendStream[Received]) -> None:
        """Sends one message, and gives the library the answers. If that fails, the streams end."""
        try:
            async with aclosing(self._session.send(message)) as answers:
                async for received in answers:
                    await library.send(SessionMessage(received))
        except Rejected as rejected:
            self.failure = self.failure or rejected.error
            library.close()
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass  # the library has ended its side
