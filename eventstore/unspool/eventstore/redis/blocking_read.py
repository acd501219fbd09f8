"""A read that waits in Redis for entries, and that this process can end early."""

import asyncio
from contextlib import suppress
from typing import Any, Final

from unspool.eventstore.errors import StoreError, StoreUnavailable
from unspool.eventstore.redis.connection import Call, Connection
from unspool.eventstore.redis.session import Session
from unspool.eventstore.redis.socket_connection import Argument

_RETRY_SECONDS: Final = 0.005


class BlockingRead:
    """The blocking reads of one connection; at most one at a time."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._client: int | None = None
        self._waiting = False
        self._ended = asyncio.Event()
        self._ending: asyncio.Task[None] | None = None

    @property
    def can_end(self) -> bool:
        """Whether `end` can end a read: this user may call `CLIENT ID`."""
        return self._client is not None

    async def connected(self, call: Call) -> None:
        """Asks a new connection for its id, by which another connection ends its reads."""
        try:
            self._client = await call("CLIENT", "ID")
        except StoreUnavailable:
            raise
        except StoreError:  # this user may not call it: an abandoned read then ends when Redis notices
            self._client = None

    async def read(self, connection: Connection, *command: Argument) -> Any:
        """Sends a blocking command; returns its reply, which is None if `end` ended it."""
        self._waiting = True
        try:
            return await connection.call(*command)
        finally:
            self._waiting = False

    async def sleep(self, seconds: float) -> None:
        """Waits without a read; `end` ends it too."""
        self._ended.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ended.wait()

    def end(self) -> None:
        """Ends the read that waits, if there is one."""
        self._ended.set()
        if self._waiting and (self._ending is None or self._ending.done()):
            self._ending = asyncio.create_task(self._end())

    def abandon(self) -> None:
        """Ends a read whose reply is not awaited any more, before later calls.

        Redis may notice a closed connection late. Until then the read would take entries, for example those
        that this consumer releases because it stops.
        """
        if self._client is not None:
            self._session.unblock(self._client)

    async def _end(self) -> None:
        with suppress(StoreError):  # the read ends by itself soon
            while self._waiting and self._client is not None:
                if await self._session.call("CLIENT", "UNBLOCK", self._client):
                    return
                await asyncio.sleep(_RETRY_SECONDS)  # the read may reach Redis after the command that ends it
