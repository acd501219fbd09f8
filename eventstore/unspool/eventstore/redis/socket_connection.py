"""One connection to Redis that sends commands in batches.

All commands of one iteration of the event loop are sent in one write; the replies arrive in the same order.
Under load, awaiting redis-py's own commands costs many times as much. redis-py connects (TLS,
authentication, database), and hiredis encodes commands and parses replies.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

from hiredis import pack_command
from redis.asyncio.connection import AbstractConnection, Connection, parse_url
from redis.exceptions import RedisError, ResponseError

from unspool.eventstore.errors import StoreError, StoreMismatch, StoreUnavailable
from unspool.eventstore.redis.failures import as_store_error

Argument = str | bytes | int | float

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


class SocketConnection:
    """A connection that is not reopened after its end."""

    def __init__(
        self, raw: AbstractConnection, received: Callable[[Any], None], ended: Callable[[StoreError], None]
    ) -> None:
        """Starts the reading and the writing task.

        Args:
            raw: a connected redis-py connection.
            received: called with each reply; an error reply is an exception.
            ended: called once, with the reason, when the connection ends.
        """
        self._raw = raw
        self._received = received
        self._ended = ended
        self._unsent: list[bytes] = []
        self._to_send = asyncio.Event()
        self._over = False
        self._tasks = (asyncio.create_task(self._write()), asyncio.create_task(self._read()))

    def send(self, command: tuple[Argument, ...]) -> None:
        """Adds a command to the next write."""
        packed = pack_command(command)  # type: ignore[arg-type]  # its stub allows one argument only
        self._unsent.append(packed)
        self._to_send.set()

    def end(self, error: StoreError) -> None:
        """Ends the connection, if it has not ended yet."""
        if not self._over:
            self._over = True
            for task in self._tasks:
                task.cancel()
            self._ended(error)

    async def close(self) -> None:
        """Ends the connection and waits until it is closed."""
        self.end(StoreUnavailable("the store was closed"))
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._raw.disconnect()

    async def _write(self) -> None:
        try:
            while True:
                await self._to_send.wait()
                self._to_send.clear()
                batch, self._unsent = self._unsent, []
                await self._raw.send_packed_command(batch, check_health=False)
        except (RedisError, OSError) as error:
            self.end(as_store_error(error))

    async def _read(self) -> None:
        read = self._raw.read_response
        try:
            while True:
                try:
                    reply = await read(disable_decoding=True, disconnect_on_error=False)
                except ResponseError as error:
                    reply = error
                self._received(reply)
        except (RedisError, OSError) as error:
            self.end(as_store_error(error))
        finally:
            self.end(StoreUnavailable("the connection ended"))
            await self._raw.disconnect(nowait=True)


def _raw_connection_to(url: str, connect_seconds: float) -> AbstractConnection:
    # Without timeouts and retries of redis-py: a read may block, and a command must not be sent twice.
    scheme = url.partition("://")[0]
    if scheme in _UNSUPPORTED:
        raise StoreMismatch(
            f"{_UNSUPPORTED[scheme]} ({scheme}://) is not supported by this release; "
            "use redis:// or rediss://"
        )
    path = urlsplit(url).path.strip("/")
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
