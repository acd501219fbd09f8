"""The interface of a transport of MCP messages."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage

from unspool.definitions.errors import WorkflowError

Received = SessionMessage | Exception
Streams = tuple[MemoryObjectReceiveStream[Received], MemoryObjectSendStream[SessionMessage]]


class Transport(Protocol):
    """A connection to one server, for one call."""

    @property
    def label(self) -> str:
        """The server as errors name it."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Texts to hide in errors."""

    @property
    def failure(self) -> WorkflowError | None:
        """Why the connection ended, if it failed."""

    def opened(self) -> AbstractAsyncContextManager[Streams]:
        """The messages from the server and to it. They end when the connection fails.

        Raises:
            Rejected: the connection cannot be opened.
        """
