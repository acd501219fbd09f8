"""Tells clients that the list of tools has changed, because a workflow was deployed.

No store says that a definition was stored, so the list is read again from time to time, and only while a
client wants to know. In the newest version of the protocol a client asks for it with `subscriptions/listen`.
In older ones the server sends a notification on its own, for which it needs a connection that stays open:
standard input and output have one, HTTP without sessions has none.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from typing import Final

import anyio
from mcp.server.session import ServerSession
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ServerEvent, ToolsListChanged

from unspool.cli.exits import CommandError
from unspool.client import ClientError
from unspool.eventstore.errors import StoreError

log = logging.getLogger(__name__)

SECONDS: Final = 5.0
"""The time between two looks at the list of tools."""

_MOST_STREAMS: Final = 256
"""Clients that listen at a time."""


class _Bus(InMemorySubscriptionBus):
    """Knows whether a client listens."""

    def __init__(self) -> None:
        super().__init__()
        self.listened = asyncio.Event()
        self._open: set[Callable[[], None]] = set()

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        """Adds a listener. Returns what removes it."""
        remove = super().subscribe(listener)
        self._open.add(remove)
        self.listened.set()

        def end() -> None:
            remove()
            self._open.discard(remove)
            if not self._open:
                self.listened.clear()

        return end


class ToolChanges:
    """Looks for changes of the tools, and tells them to the clients that want to know."""

    def __init__(self, current: Callable[[], Awaitable[Hashable]], seconds: float = SECONDS) -> None:
        """Takes a function that returns what the tools are made of, and the time between two looks."""
        self._current, self._seconds = current, seconds
        self._bus = _Bus()
        self._known: Hashable = None
        self._session: ServerSession | None = None
        self.listen: Final = ListenHandler(self._bus, max_subscriptions=_MOST_STREAMS)
        """Serves `subscriptions/listen`."""

    def connected(self, session: ServerSession) -> None:
        """Takes the session of a connection that stays open."""
        self._session = session
        self._bus.listened.set()

    async def listed(self, tools: Hashable) -> None:
        """Takes what the tools are made of, as a client sees them now."""
        known, self._known = self._known, tools
        if known not in {None, tools}:
            await self._bus.publish(ToolsListChanged())
            await self._notify()

    async def _notify(self) -> None:
        if self._session is not None:
            with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):  # the client has gone
                await self._session.send_tool_list_changed()

    async def watch(self) -> None:
        """Looks for changes until it is cancelled."""
        try:
            while True:
                await self._bus.listened.wait()
                try:
                    await self.listed(await self._current())
                except (CommandError, ClientError, StoreError) as error:
                    log.warning("cannot look for new workflows: %s", error, extra={"action": "mcp_no_look"})
                await asyncio.sleep(self._seconds)
        finally:
            self.listen.close()
