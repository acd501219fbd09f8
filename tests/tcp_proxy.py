"""A proxy in front of a server that loses replies, holds requests or bodies back, or stops forwarding."""

import asyncio
import ssl
from contextlib import suppress
from typing import Any


class TcpProxy:
    """Forwards bytes between clients and a server, and fails when a test asks for it."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        """Takes the port of the server; with `tls`, clients must connect by TLS."""
        self._port = port
        self._tls = tls
        self._doomed: bytes | None = None
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._connections: set[asyncio.Task[Any]] = set()
        self.losses = 0
        self._held: tuple[bytes, ...] = ()
        self.holds = asyncio.Event()
        """Set when something is held back."""
        self._released = asyncio.Event()
        self._headed: bytes | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)

    @property
    def port(self) -> int:
        return int(self._server.sockets[0].getsockname()[1])

    def cut(self) -> None:
        """Closes all connections."""
        for pump in self._pumps:
            pump.cancel()

    async def stop(self) -> None:
        self._server.close()
        while self._connections:
            for pump in self._pumps:
                pump.cancel()
            await asyncio.wait(self._connections, timeout=0.1)

    def lose_the_reply_to(self, request: bytes) -> None:
        """Forwards one request with these bytes, drops the reply and closes the connection."""
        self._doomed = request

    def hold_back(self, *parts: bytes) -> None:
        """Holds back the first request that has all these parts, and what follows on its connection."""
        self._held = parts
        self.holds.clear()
        self._released.clear()

    def hold_back_the_body_for(self, request: bytes) -> None:
        """Forwards one HTTP request with these bytes, and of its answer only the head."""
        self._headed = request
        self.holds.clear()
        self._released.clear()

    def release(self) -> None:
        """Forwards what is held back."""
        self._released.set()

    def freeze(self) -> None:
        """Stops forwarding: no connection breaks and nothing arrives."""
        self._flowing.clear()

    def refuse(self) -> None:
        """Accepts no more connections."""
        self._server.close()

    def thaw(self) -> None:
        self._flowing.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.current_task()
        assert connection is not None
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._port)
        lost, headed = asyncio.Event(), asyncio.Event()
        pumps = {
            asyncio.create_task(self._requests(reader, up_writer, lost, headed)),
            asyncio.create_task(self._replies(up_reader, writer, lost, headed)),
        }
        self._pumps |= pumps
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        self._pumps -= pumps
        for each in (writer, up_writer):
            each.close()
            with suppress(OSError):
                await each.wait_closed()

    async def _requests(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        lost: asyncio.Event,
        headed: asyncio.Event,
    ) -> None:
        while data := await reader.read(1 << 16):
            await self._flowing.wait()
            if self._doomed is not None and self._doomed in data:
                self._doomed = None
                lost.set()
            if self._headed is not None and self._headed in data:
                self._headed = None
                headed.set()
            if self._held and all(part in data for part in self._held):
                self._held = ()
                self.holds.set()
                await self._released.wait()
            writer.write(data)

    async def _replies(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        lost: asyncio.Event,
        headed: asyncio.Event,
    ) -> None:
        while data := await reader.read(1 << 16):
            await self._flowing.wait()
            if lost.is_set():
                self.losses += 1
                return
            if headed.is_set():
                headed.clear()
                head, end, data = data.partition(b"\r\n\r\n")
                writer.write(head + end)
                self.holds.set()
                await self._released.wait()
            writer.write(data)


class RedisProxy(TcpProxy):
    """In front of Redis."""

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"
