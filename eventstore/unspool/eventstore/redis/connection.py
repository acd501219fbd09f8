"""Calls to Redis. After a connection breaks, the next call opens a new one.

A call whose connection breaks raises `StoreUnavailable`. Only the caller knows whether the call may be sent
again, so this module never sends one twice.
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
from unspool.eventstore.redis.pauses import SECONDS_AFTER_PAUSE, was_paused
from unspool.eventstore.redis.scripts import Script
from unspool.eventstore.redis.socket_connection import Argument, SocketConnection, raw_connection

Call = Callable[..., Awaitable[Any]]

_BACKOFF_SECONDS: Final = (0.05, 1.0)


class Pipeline:
    """A connection that gives each reply to the caller of its command."""

    def __init__(self, raw: AbstractConnection, reply_timeout: float) -> None:
        """Starts to read and write.

        Args:
            raw: a connected redis-py connection.
            reply_timeout: seconds without a reply, while one is expected, after which the connection ends.
                If this process was paused, it first reads what has arrived meanwhile.
        """
        self._loop = asyncio.get_running_loop()
        self._pending: deque[asyncio.Future[Any]] = deque()
        self._reply_timeout = reply_timeout
        self._last_reply_at = self._loop.time()
        self.failure: StoreError | None = None
        self._watch = self._check_at(self._last_reply_at + reply_timeout)
        self._socket = SocketConnection(raw, self._received, self._ended)

    def call(self, *command: Argument) -> asyncio.Future[Any]:
        """Sends a command; returns a future of its reply."""
        future = self._loop.create_future()
        if self.failure is not None:
            future.set_exception(StoreUnavailable(str(self.failure)))
            return future
        self._socket.send(command)
        if not self._pending:
            self._last_reply_at = self._loop.time()
        self._pending.append(future)
        return future

    def drop(self) -> None:
        """Ends the connection at once. Replies that have not arrived are lost."""
        self._socket.end(StoreUnavailable("the connection was dropped"))

    async def close(self) -> None:
        """Ends the connection and waits until it is closed."""
        await self._socket.close()

    def _received(self, reply: Any) -> None:
        future = self._pending.popleft()
        self._last_reply_at = self._loop.time()
        if future.done():  # its caller was cancelled
            return
        if isinstance(reply, ResponseError):
            future.set_exception(as_store_error(reply))
        else:
            future.set_result(reply)

    def _ended(self, error: StoreError) -> None:
        self.failure = error
        self._watch.cancel()
        for future in self._pending:
            if not future.done():
                future.set_exception(StoreUnavailable(str(error)))
        self._pending.clear()

    def _check_at(self, time: float) -> asyncio.TimerHandle:
        return self._loop.call_at(time, self._check_reply_timeout, time)

    def _check_reply_timeout(self, due: float) -> None:
        now = self._loop.time()
        quiet = now - self._last_reply_at if self._pending else 0.0
        if quiet < self._reply_timeout:
            self._watch = self._check_at(now + max(self._reply_timeout - quiet, 0.01))
        elif was_paused(due, now):
            self._watch = self._check_at(now + SECONDS_AFTER_PAUSE)
        else:
            self._socket.end(StoreUnavailable(f"Redis has not answered for {quiet:.1f} s"))


class Connection:
    """A pipeline that is replaced when it breaks."""

    def __init__(
        self,
        url: str,
        *,
        connect_seconds: float,
        reply_timeout: float,
        on_connect: Callable[[Call], Awaitable[None]],
    ) -> None:
        """Connects at the first call.

        Args:
            url: as redis-py accepts it.
            connect_seconds: connect timeout.
            reply_timeout: seconds without a reply, while one is expected, after which the connection ends.
            on_connect: awaited on every new connection before its first use.
        """
        self._url = url
        self._connect_seconds = connect_seconds
        self._reply_timeout = reply_timeout
        self._on_connect = on_connect
        self._pipeline: Pipeline | None = None
        self._connecting = asyncio.Lock()
        self._failures = 0
        self._not_before = 0.0
        self._last_error = ""
        self._closed = False

    async def call(self, *command: Argument) -> Any:
        """Sends one command and returns its reply.

        Raises:
            StoreUnavailable: there is no connection, it broke, or Redis refuses the command for now.
            StoreError: Redis refused the command.
        """
        pipeline = self._pipeline
        if pipeline is None or pipeline.failure is not None:
            pipeline = await self._connected()
        return await pipeline.call(*command)

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """Runs a script; loads it first if the server does not have it."""
        try:
            return await self.call("EVALSHA", script.sha, len(keys), *keys, *arguments)
        except ScriptMissing:
            await self.call("SCRIPT", "LOAD", script.source)
            return await self.call("EVALSHA", script.sha, len(keys), *keys, *arguments)

    def post(self, *command: Argument) -> None:
        """Sends one command ahead of later calls, if there is a connection. Its reply is ignored."""
        if self._pipeline is not None:
            self._pipeline.call(*command).add_done_callback(_ignore)

    def drop(self) -> None:
        """Drops the current connection; the next call opens another."""
        if self._pipeline is not None:
            self._pipeline.drop()

    async def close(self) -> None:
        """Ends the connection permanently; pending calls fail."""
        self._closed = True
        if self._pipeline is not None:
            await self._pipeline.close()

    async def _connected(self) -> Pipeline:
        async with self._connecting:
            if self._closed:
                raise StoreUnavailable("the store was closed")
            if self._pipeline is not None and self._pipeline.failure is None:
                return self._pipeline
            if asyncio.get_running_loop().time() < self._not_before:
                raise StoreUnavailable(self._last_error)
            try:
                self._pipeline = await self._connect()
            except StoreError as error:
                self._wait_before_next(error)
                raise
            self._failures = 0
            if self._closed:  # meanwhile
                await self._pipeline.close()
            return self._pipeline

    async def _connect(self) -> Pipeline:
        raw = await raw_connection(self._url, self._connect_seconds)
        pipeline = Pipeline(raw, self._reply_timeout)
        try:
            await self._on_connect(pipeline.call)
        except BaseException:
            await pipeline.close()
            raise
        return pipeline

    def _wait_before_next(self, error: StoreError) -> None:
        # Full jitter: otherwise all clients would reconnect at the same time after an outage.
        shortest, longest = _BACKOFF_SECONDS
        wait = random.uniform(0, min(longest, shortest * 2**self._failures))  # noqa: S311 - jitter is no secret
        self._failures = min(self._failures + 1, 10)
        self._not_before = asyncio.get_running_loop().time() + wait
        self._last_error = str(error)


def _ignore(reply: asyncio.Future[Any]) -> None:
    if not reply.cancelled():
        reply.exception()
