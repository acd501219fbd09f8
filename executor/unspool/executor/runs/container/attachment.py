"""The streams of a container: standard input, output and error on one connection.

The connection begins as HTTP and then carries bytes in both directions. The engine sends frames: a byte that
says which stream, three zeros, the length in four bytes, the data (Docker Engine API, "Attach to a
container").
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from unspool.executor.process_output import Output, OutputTooLarge
from unspool.executor.runs.container.address import EngineAddress
from unspool.executor.runs.container.engine import EngineError, EngineUnreachable

_HEADER_BYTES: Final = 8
_CONNECT_SECONDS: Final = 30.0
_CHUNK: Final = 65536


class Attachment:
    """The streams of a container."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def write(self, stdin: bytes) -> None:
        """Sends standard input and closes it. A container that reads none of it is no error."""
        if not stdin:
            return
        with contextlib.suppress(OSError):
            self._writer.write(stdin)
            await self._writer.drain()
            if self._writer.can_write_eof():
                self._writer.write_eof()

    async def read(self, output: Output) -> None:
        """Reads until both outputs have ended. Raises `OutputTooLarge`."""
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                header = await self._reader.readexactly(_HEADER_BYTES)
                left = int.from_bytes(header[4:], "big")
                while left:
                    data = await self._reader.readexactly(min(left, _CHUNK))
                    left -= len(data)
                    output.add(2 if header[0] == 2 else 1, data)
                    if output.overflow is not None:
                        raise OutputTooLarge(output.overflow)


@asynccontextmanager
async def attached(address: EngineAddress, container: str, *, stdin: bool) -> AsyncIterator[Attachment]:
    """Attaches to a container, which is created and not started.

    Raises:
        EngineError: the engine refuses.
        EngineUnreachable: it does not answer, or not with the streams.
    """
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            reader, writer = await _connected(address)
            try:
                await _begin(reader, writer, container, stdin=stdin)
            except BaseException:
                writer.close()
                raise
    except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise EngineUnreachable(f"it does not show the output of containers: {error}") from None
    try:
        yield Attachment(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _connected(address: EngineAddress) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if address.path is not None:
        return await asyncio.open_unix_connection(address.path)
    return await asyncio.open_connection(address.host, address.port)


async def _begin(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, container: str, *, stdin: bool
) -> None:
    query = "stream=1&stdout=1&stderr=1" + ("&stdin=1" if stdin else "")
    writer.write(
        f"POST /containers/{container}/attach?{query} HTTP/1.1\r\n"
        "Host: engine\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n".encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    status = head.split(None, 2)[1:2]
    if status not in ([b"101"], [b"200"]):
        raise EngineError(500, "the engine does not show the output of the container")
