"""One connection to Redis that sends commands in batches.

All commands of one iteration of the event loop are sent in one write; the replies arrive in the same order.
Under load, awaiting redis-py's own commands costs many times as much. redis-py connects (TLS,
authentication, database). Then the class below takes over the socket, and hiredis encodes commands and parses
replies. A reply through a stream of asyncio and the parser of redis-py costs twice as much.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, cast
from urllib.parse import urlsplit

from hiredis import Reader, pack_command
from redis.asyncio.connection import AbstractConnection, Connection, DefaultParser, parse_url
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, RedisError

from unspool.eventstore.errors import StoreError, StoreMismatch, StoreUnavailable
from unspool.eventstore.redis.failures import as_store_error

Argument = str | bytes | int | float

_INCOMPLETE: Final = object()
"""Stands for a reply of which a part has not arrived yet."""

_UNSUPPORTED: Final = {
    "redis+cluster": "Redis Cluster",
    "redis+sentinel": "Redis Sentinel",
}


async def raw_connection(url: str, connect_seconds: float) -> AbstractConnection:
    """A connection of redis-py, connected and authenticated.

    Raises:
        StoreMismatch: the URL is not one of a supported Redis.
        StoreUnavailable: the connection failed or took too long.
    """
    raw = _raw_connection_to(url, connect_seconds)
    try:
        async with asyncio.timeout(connect_seconds):
            await raw.connect()  # type: ignore[no-untyped-call]  # redis-py leaves it without types
    except (RedisError, OSError) as error:  # TimeoutError is an OSError
        await raw.disconnect(nowait=True)
        raise as_store_error(error) from error
    return raw


class SocketConnection(asyncio.Protocol):
    """A connection that is not reopened after its end."""

    def __init__(
        self, raw: AbstractConnection, received: Callable[[Any], None], ended: Callable[[StoreError], None]
    ) -> None:
        """Takes over the socket of a connection.

        Args:
            raw: a connected redis-py connection.
            received: called with each reply; an error reply is an exception.
            ended: called once, with the reason, when the connection ends.
        """
        self._raw = raw
        self._received = received
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._replies = Reader(
            protocolError=InvalidResponse, replyError=DefaultParser.parse_error, notEnoughData=_INCOMPLETE
        )
        self._unsent: list[bytes] = []
        self._is_full = False
        self._over = asyncio.Event()
        self._closing = self._loop.create_task(self._close())
        self._transport = _transport_of(raw)
        self._transport.set_protocol(self)

    def send(self, command: tuple[Argument, ...]) -> None:
        """Adds a command to the next write."""
        packed = pack_command(command)  # type: ignore[arg-type]  # its stub allows one argument only
        if not self._unsent:
            self._loop.call_soon(self._write)
        self._unsent.append(packed)

    def end(self, error: StoreError) -> None:
        """Ends the connection, if it has not ended yet."""
        if not self._over.is_set():
            self._over.set()
            self._ended(error)

    async def close(self) -> None:
        """Ends the connection and waits until it is closed."""
        self.end(StoreUnavailable("the store was closed"))
        await asyncio.gather(self._closing, return_exceptions=True)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._replies.feed(data)
        try:
            while (reply := self._replies.gets()) is not _INCOMPLETE and not self._over.is_set():
                if isinstance(reply, RedisConnectionError):  # such as one that Redis is loading its data
                    self.end(as_store_error(reply))
                else:
                    self._received(reply)
        except InvalidResponse as error:
            self.end(as_store_error(error))

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self.end(StoreUnavailable(f"Redis cannot be reached: {exc or 'it has closed the connection'}"))

    def pause_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self._is_full = True

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self._is_full = False
        self._write()

    def _write(self) -> None:
        if self._unsent and not self._is_full and not self._over.is_set():
            self._transport.write(b"".join(self._unsent))
            self._unsent.clear()

    async def _close(self) -> None:
        """Closes the socket after the end, which can be that of the event loop."""
        try:
            await self._over.wait()
        finally:
            self.end(StoreUnavailable("the connection ended"))
            await self._raw.disconnect(nowait=True)


def _transport_of(raw: AbstractConnection) -> asyncio.Transport:
    """The socket of a connected redis-py connection, which has no public name there."""
    writer: asyncio.StreamWriter = raw._writer  # type: ignore[assignment]  # noqa: SLF001 - see above
    return cast("asyncio.Transport", writer.transport)


def _raw_connection_to(url: str, connect_seconds: float) -> AbstractConnection:
    # Without timeouts and retries of redis-py: a read may block, and a command must not be sent twice.
    scheme = url.partition("://")[0]
    if scheme in _UNSUPPORTED:
        raise StoreMismatch(
            f"{_UNSUPPORTED[scheme]} ({scheme}://) is not supported by this release; "
            "use redis:// or rediss://"
        )
    try:
        path = urlsplit(url).path.strip("/")
    except ValueError:  # whose text may have the password
        raise StoreMismatch("not the URL of a Redis store: its host is not valid") from None
    if path and not path.isdigit():  # redis-py would use database 0
        raise StoreMismatch(f"not the URL of a Redis store: {path!r} is not a database number")
    try:
        options: dict[str, Any] = dict(parse_url(url))
    except ValueError as error:
        raise StoreMismatch(f"not the URL of a Redis store: {error}") from None
    options |= {"protocol": 2, "socket_timeout": None, "socket_connect_timeout": connect_seconds}
    kind: type[AbstractConnection] = options.pop("connection_class", Connection)
    if kind is Connection:
        options.setdefault("socket_keepalive", True)
    try:
        return kind(**options)
    except TypeError:
        raise StoreMismatch("the URL of the Redis store has an unknown parameter") from None
