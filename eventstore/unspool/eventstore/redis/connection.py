"""Calls to Redis that outlive a broken connection: the next call connects anew.

A call whose connection breaks raises `StoreUnavailable`, and nobody but the caller can know whether it may
be sent again: nothing here is ever re-sent by itself.
"""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ResponseError

from unspool.eventstore.errors import StoreError, StoreUnavailable
from unspool.eventstore.redis.failures import ScriptMissing, as_store_error
from unspool.eventstore.redis.link import Argument, Link, connected_wire
from unspool.eventstore.redis.scripts import Script

Call = Callable[..., Awaitable[Any]]

_BACKOFF_SECONDS: Final = (0.05, 1.0)


class Pipe:
    """A link whose replies are handed to the callers in order."""

    def __init__(self, wire: AbstractConnection, silence: float) -> None:
        """Starts it.

        Args:
            wire: connected.
            silence: seconds after which a server that owes a reply is given up.
        """
        self._loop = asyncio.get_running_loop()
        self._owed: deque[asyncio.Future[Any]] = deque()
        self._silence = silence
        self._heard = self._loop.time()
        self.failure: StoreError | None = None
        self._watch = self._loop.call_later(silence, self._look)
        self._link = Link(wire, self._received, self._ended)

    def call(self, *command: Argument) -> asyncio.Future[Any]:
        """Sends a command; the future is its reply."""
        future = self._loop.create_future()
        if self.failure is not None:
            future.set_exception(StoreUnavailable(str(self.failure)))
            return future
        self._link.send(command)
        if not self._owed:
            self._heard = self._loop.time()
        self._owed.append(future)
        return future

    def drop(self) -> None:
        """Ends it at once; what the server still does for it is lost."""
        self._link.end(StoreUnavailable("the connection was given up"))

    async def close(self) -> None:
        """Ends it and waits until it is gone."""
        await self._link.close()

    def _received(self, reply: Any) -> None:
        future = self._owed.popleft()
        self._heard = self._loop.time()
        if future.done():  # its caller was cancelled
            return
        if isinstance(reply, ResponseError):
            future.set_exception(as_store_error(reply))
        else:
            future.set_result(reply)

    def _ended(self, error: StoreError) -> None:
        self.failure = error
        self._watch.cancel()
        for future in self._owed:
            if not future.done():
                future.set_exception(StoreUnavailable(str(error)))
        self._owed.clear()

    def _look(self) -> None:
        quiet = self._loop.time() - self._heard if self._owed else 0.0
        if quiet >= self._silence:
            self._link.end(StoreUnavailable(f"Redis has not answered for {quiet:.1f} s"))
        else:
            self._watch = self._loop.call_later(max(self._silence - quiet, 0.01), self._look)


class Connection:
    """A pipe that is replaced when it breaks."""

    def __init__(
        self, url: str, *, connect_seconds: float, silence: float, greet: Callable[[Call], Awaitable[None]]
    ) -> None:
        """Connects with the first call.

        Args:
            url: as redis-py takes it.
            connect_seconds: how long connecting may take.
            silence: seconds after which a server that owes a reply is given up.
            greet: is awaited on every new connection before it is used.
        """
        self._url = url
        self._connect_seconds = connect_seconds
        self._silence = silence
        self._greet = greet
        self._pipe: Pipe | None = None
        self._connecting = asyncio.Lock()
        self._failures = 0
        self._not_before = 0.0
        self._last_error = ""
        self._closed = False

    async def call(self, *command: Argument) -> Any:
        """Sends one command and returns its reply.

        Raises:
            StoreUnavailable: there is no connection, it broke, or Redis refuses for now.
            StoreError: Redis refused.
        """
        pipe = self._pipe
        if pipe is None or pipe.failure is not None:
            pipe = await self._connected()
        return await pipe.call(*command)

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """Runs a script; one the server does not know is loaded and run then."""
        try:
            return await self.call("EVALSHA", script.sha, len(keys), *keys, *arguments)
        except ScriptMissing:
            await self.call("SCRIPT", "LOAD", script.source)
            return await self.call("EVALSHA", script.sha, len(keys), *keys, *arguments)

    def post(self, *command: Argument) -> None:
        """Sends one command, before all called later, if there is a connection; its reply is ignored."""
        if self._pipe is not None:
            self._pipe.call(*command).add_done_callback(_ignore)

    def drop(self) -> None:
        """Gives up the present connection; the next call makes another."""
        if self._pipe is not None:
            self._pipe.drop()

    async def close(self) -> None:
        """Ends the connection for good; pending calls fail."""
        self._closed = True
        if self._pipe is not None:
            await self._pipe.close()

    async def _connected(self) -> Pipe:
        async with self._connecting:
            if self._closed:
                raise StoreUnavailable("the store was closed")
            if self._pipe is not None and self._pipe.failure is None:
                return self._pipe
            if asyncio.get_running_loop().time() < self._not_before:
                raise StoreUnavailable(self._last_error)
            try:
                self._pipe = await self._connect()
            except StoreError as error:
                self._wait_before_next(error)
                raise
            self._failures = 0
            return self._pipe

    async def _connect(self) -> Pipe:
        wire = await connected_wire(self._url, self._connect_seconds)
        pipe = Pipe(wire, self._silence)
        try:
            await self._greet(pipe.call)
        except BaseException:
            await pipe.close()
            raise
        return pipe

    def _wait_before_next(self, error: StoreError) -> None:
        # Full jitter: after an outage everybody would come back at the same moment.
        shortest, longest = _BACKOFF_SECONDS
        wait = random.uniform(0, min(longest, shortest * 2**self._failures))  # noqa: S311 - jitter is no secret
        self._failures = min(self._failures + 1, 10)
        self._not_before = asyncio.get_running_loop().time() + wait
        self._last_error = str(error)


def _ignore(reply: asyncio.Future[Any]) -> None:
    if not reply.cancelled():
        reply.exception()
