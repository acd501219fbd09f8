"""WebSocket: each frame is a message. A WebSocket has no acknowledgements and keeps nothing."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

import aiohttp

from unspool.executor.brokers.http import check_status, client_errors, url_of
from unspool.executor.brokers.port import (
    BrokerError,
    Channel,
    InboundMessage,
    MessageTooLarge,
    OutboundMessage,
    Server,
    Subscriber,
    Subscription,
)
from unspool.executor.outbound import Outbound

_HEARTBEAT_SECONDS: Final = 30.0
_CLOSE_SECONDS: Final = 5.0
_TEXT: Final = ("text/", "application/json", "application/xml")
_PUBLISHER_BYTES: Final = 64 * 1024
"""Largest frame that is read while a message is published."""


@asynccontextmanager
async def connected(server: Server, outbound: Outbound) -> AsyncIterator["WebSocketBroker"]:
    """Connects for each publication and subscription: the address of a channel is part of the URL."""
    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(_refuse_redirect)
    session = aiohttp.ClientSession(
        connector=outbound.session.connector,
        connector_owner=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=outbound.session.timeout,
        headers={"User-Agent": "unspool"},
        trust_env=False,
        trace_configs=[trace],
    )
    async with session:
        yield WebSocketBroker(server, session)


async def _refuse_redirect(*_: object) -> None:
    """Raises, because credentials must not go to another host, and aiohttp has no option for WebSockets."""
    raise BrokerError("the server redirects")


class WebSocketBroker:
    """A server that takes or gives messages by WebSocket."""

    def __init__(self, server: Server, session: aiohttp.ClientSession) -> None:
        self._server = server
        self._session = session

    async def publish(self, channel: Channel, message: OutboundMessage) -> None:
        """See `Broker`. The message was received when the server closes in return.

        The headers of the message are those of the handshake.
        """
        async with self._opened(channel, message.headers, _PUBLISHER_BYTES) as socket:
            kind = message.content_type.partition(";")[0]
            if kind.startswith(_TEXT) or kind.endswith("+json"):
                await socket.send_str(message.payload.decode())
            else:
                await socket.send_bytes(message.payload)
            if not await socket.close():
                raise BrokerError("the connection was closed")

    @asynccontextmanager
    async def subscribe(self, channel: Channel, subscriber: Subscriber) -> AsyncIterator[Subscription]:
        """See `Broker`."""
        async with self._opened(channel, {}, subscriber.max_bytes) as socket:
            yield _Frames(socket, subscriber.max_bytes)

    @asynccontextmanager
    async def _opened(
        self, channel: Channel, headers: Mapping[str, str], max_bytes: int
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        url = url_of(self._server, channel, "https" if self._server.tls else "http")
        sent = {**headers, **self._server.credentials.headers}
        async with client_errors():
            try:
                connecting = self._session.ws_connect(
                    url,
                    headers=sent,
                    heartbeat=_HEARTBEAT_SECONDS,
                    max_msg_size=max_bytes + 1,
                    timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_SECONDS),
                )
                async with connecting as socket:
                    yield socket
            except aiohttp.WSServerHandshakeError as error:
                check_status(error.status, success=False)


class _Frames:
    """The frames of a connection."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, max_bytes: int) -> None:
        self._socket = socket
        self._max_bytes = max_bytes

    async def next(self) -> InboundMessage:
        """See `Subscription`."""
        frame = await self._socket.receive()
        if frame.type is aiohttp.WSMsgType.TEXT:
            return InboundMessage(frame.data.encode())
        if frame.type is aiohttp.WSMsgType.BINARY:
            return InboundMessage(frame.data)
        if self._socket.close_code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG:
            raise MessageTooLarge(self._max_bytes)
        raise BrokerError(f"the server closed the connection ({self._socket.close_code})")

    async def acknowledge(self, messages: Sequence[InboundMessage]) -> None:
        """Nothing: a WebSocket has no acknowledgements."""

    async def end(self) -> None:
        """Nothing: the server keeps nothing."""
