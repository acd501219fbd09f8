"""A sink that is a channel of a message broker."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import Final

from unspool.executor.brokers.port import Broker, BrokerError, OutboundMessage
from unspool.executor.brokers.protocols import PROTOCOLS, Connect
from unspool.executor.outbound import Outbound
from unspool.executor.transports.broker_address import BrokerAddress
from unspool.executor.transports.cloud_event_messages import message_of
from unspool.executor.transports.sink import Unreachable
from unspool.executor.transports.source_loop import in_one_line

_BATCH: Final = 100
_SECONDS: Final = 30.0
"""Longest time for a batch, with the connection."""


class BrokerSink:
    """Publishes events, one message each. It connects with the first event, and again after a failure."""

    name = "broker"
    batch = _BATCH

    def __init__(self, address: BrokerAddress, outbound: Outbound, connect: Callable[[], Connect]) -> None:
        """`connect` imports the adapter; see `protocols.connector`."""
        self._address = address
        self._outbound = outbound
        self._connect = connect
        self._broker: Broker | None = None
        self._stack = AsyncExitStack()
        self._lock = asyncio.Lock()

    async def send(self, tenant: str, events: Sequence[bytes]) -> None:  # noqa: ARG002 - as all sinks
        """See `Sink`."""
        protocol = PROTOCOLS[self._address.server.protocol].name
        messages = [message_of(event, protocol, binary=self._address.binary) for event in events]
        async with self._lock:
            try:
                async with asyncio.timeout(_SECONDS):
                    await self._publish(messages)
            except (BrokerError, OSError) as error:
                await self.close()
                raise Unreachable(f"{self._address.server.label}: {in_one_line(error)}") from None
            except TimeoutError:
                await self.close()
                raise Unreachable(f"{self._address.server.label} took longer than {_SECONDS:g} s") from None
            except BaseException:
                await self.close()
                raise

    async def _publish(self, messages: Sequence[OutboundMessage]) -> None:
        broker = self._broker or await self._connected()
        for message in messages:
            await broker.publish(self._address.channel, message)

    async def _connected(self) -> Broker:
        connect = await asyncio.to_thread(self._connect)
        self._broker = await self._stack.enter_async_context(connect(self._address.server, self._outbound))
        return self._broker

    async def close(self) -> None:
        """Closes the connection."""
        self._broker = None
        stack, self._stack = self._stack, AsyncExitStack()
        await stack.aclose()
