"""One live connection to Redis, on which commands travel in batches.

All commands of one turn of the event loop leave in one write, and the replies come back in the same order.
Under load, awaiting redis-py's own commands costs many times as much. Still nothing of the protocol is
ours: redis-py connects (TLS, authentication, database), hiredis packs and parses.
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

_LATER: Final = {
    "redis+cluster": "Redis Cluster",
    "redis+sentinel": "Redis Sentinel",
}


async def connected_wire(url: str, connect_seconds: float) -> AbstractConnection:
    """A connection of redis-py, connected and authenticated.

    Raises:
        StoreMismatch: the URL is none we can follow.
        StoreUnavailable: that failed or took too long.
    """
    wire = _wire_to(url, connect_seconds)
    try:
        async with asyncio.timeout(connect_seconds):
            await wire.connect()  # type: ignore[no-untyped-call]  # redis-py leaves it without types
    except (RedisError, OSError) as error:  # TimeoutError is an OSError
        await wire.disconnect(nowait=True)
        raise as_store_error(error) from error
    return wire


class Link:
    """A connection from its making to its end. It ends once and is never revived."""

    def __init__(
        self, wire: AbstractConnection, received: Callable[[Any], None], ended: Callable[[StoreError], None]
    ) -> None:
        """Starts to read and write.

        Args:
            wire: connected.
            received: is given each reply, an exception if it is an error.
            ended: is told, once, that and why no more replies will come.
        """
        self._wire = wire
        self._received = received
        self._ended = ended
        self._unsent: list[bytes] = []
        self._to_send = asyncio.Event()
        self._over = False
        self._tasks = (asyncio.create_task(self._write()), asyncio.create_task(self._read()))

    def send(self, command: tuple[Argument, ...]) -> None:
        """Puts a command into the next write."""
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
        """Ends the connection and waits until it is gone."""
        self.end(StoreUnavailable("the store was closed"))
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._wire.disconnect()

    async def _write(self) -> None:
        try:
            while True:
                await self._to_send.wait()
                self._to_send.clear()
                batch, self._unsent = self._unsent, []
                await self._wire.send_packed_command(batch, check_health=False)
        except (RedisError, OSError) as error:
            self.end(as_store_error(error))

    async def _read(self) -> None:
        read = self._wire.read_response
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
            await self._wire.disconnect(nowait=True)


def _wire_to(url: str, connect_seconds: float) -> AbstractConnection:
    # Without time limits or retries of its own: a read may block for long, a command must not be sent twice.
    scheme = url.partition("://")[0]
    if scheme in _LATER:
        raise StoreMismatch(
            f"{_LATER[scheme]} ({scheme}://) is not supported by this release; use redis:// or rediss://"
        )
    path = urlsplit(url).path.strip("/")
    if path and not path.isdigit():  # redis-py would take database 0 for it
        raise StoreMismatch(f"not the URL of a Redis store: {path!r} is no number of a database")
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
        raise StoreMismatch("the URL of the Redis store has a parameter that is unknown") from None
