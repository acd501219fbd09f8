"""Messages that a library delivers by calling back, until one asks for them."""

import asyncio

from unspool.executor.brokers.port import InboundMessage, MessageTooLarge


class Arrivals:
    """A queue of messages; after an error it has only the error."""

    def __init__(self, max_bytes: int) -> None:
        self._queue: asyncio.Queue[InboundMessage | Exception] = asyncio.Queue()
        self._max_bytes = max_bytes

    def put(self, message: InboundMessage) -> None:
        """Adds a message."""
        if len(message.payload) > self._max_bytes:
            self.fail(MessageTooLarge(self._max_bytes))
        else:
            self._queue.put_nowait(message)

    def fail(self, error: Exception) -> None:
        """Adds an error: `next` raises it after the messages before it."""
        self._queue.put_nowait(error)

    async def next(self) -> InboundMessage:
        """Waits for the next message."""
        found = await self._queue.get()
        if isinstance(found, Exception):
            raise found
        return found
