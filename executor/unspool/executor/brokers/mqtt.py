"""MQTT 3.1.1 and 5, with paho-mqtt.

The channel is the topic. Messages are published with the binding's `qos`, by default 1, and acknowledged
after they are consumed. The session is kept for an hour after a connection ends, so that another executor
gets what was not acknowledged. A message has no id by which it could be recognised when it comes again.
Only MQTT 5 has headers and a content type.
"""

import asyncio
import hashlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from paho.mqtt.client import Client, MQTTMessage, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from unspool.definitions.json_value import Json
from unspool.executor.brokers.arrivals import Arrivals
from unspool.executor.brokers.port import (
    BrokerError,
    Channel,
    CredentialsRefused,
    InboundMessage,
    NotPossible,
    NotReached,
    OutboundMessage,
    Server,
    Subscriber,
    Subscription,
)
from unspool.executor.outbound import CONNECT_SECONDS, Outbound

_KEEP_ALIVE_SECONDS: Final = 30
_SESSION_SECONDS: Final = 3600
_CREDENTIALS: Final = frozenset({"Bad user name or password", "Not authorized", "Bad authentication method"})


class _Client(Client):
    """A client that connects only to addresses that were checked."""

    addresses: Sequence[str] = ()

    def _create_socket_connection(self) -> socket.socket:
        """Overrides paho's, which resolves the name again. The name stays for the certificate."""
        error: OSError = OSError("there is no address")
        for address in self.addresses:
            try:
                return socket.create_connection((address, self._port), timeout=CONNECT_SECONDS)
            except OSError as failed:
                error = failed
        raise error

    def close(self) -> None:
        """Disconnects and closes all sockets; paho leaves two of them to the garbage collector."""
        self.disconnect()
        self.loop_stop()
        self._reset_sockets()


@asynccontextmanager
async def connected(server: Server, outbound: Outbound) -> AsyncIterator["MqttBroker"]:
    """Connects for each publication and subscription, because a subscription has a session of its own."""
    addresses = await outbound.addresses(server.host, server.port)
    context = await asyncio.to_thread(ssl.create_default_context) if server.tls else None
    yield MqttBroker(server, addresses, context)


class MqttBroker:
    """A broker."""

    def __init__(self, server: Server, addresses: Sequence[str], context: ssl.SSLContext | None) -> None:
        self._server = server
        self._addresses = addresses
        self._context = context
        self._five = server.protocol == "mqtt5" or server.version.startswith("5")

    async def publish(self, channel: Channel, message: OutboundMessage) -> None:
        """See `Broker`. With `qos: 0` the broker does not tell that it has the message."""
        if message.headers and not self._five:
            raise NotPossible("MQTT 3.1.1 has no headers; MQTT 5 has")
        async with self._session("") as session:
            await session.publish(
                channel.address,
                message.payload,
                _qos(channel.options.get("qos")),
                channel.options.get("retain") is True,
                self._properties(message),
            )

    @asynccontextmanager
    async def subscribe(self, channel: Channel, subscriber: Subscriber) -> AsyncIterator[Subscription]:
        """See `Broker`."""
        name = "unspool" + hashlib.sha256(subscriber.name.encode()).hexdigest()[:16]
        arrivals = Arrivals(subscriber.max_bytes)
        async with self._session(name, arrivals, subscriber.most_unacknowledged) as session:
            await session.subscribe(channel.address, _qos(channel.options.get("qos")))
            yield _Topic(session, arrivals, lambda: self._forget(name))

    async def _forget(self, name: str) -> None:
        """Removes a session: a connection with a clean one replaces it."""
        async with self._session(name, clean=True):
            pass

    @asynccontextmanager
    async def _session(
        self, name: str, arrivals: Arrivals | None = None, most: int = 100, *, clean: bool = False
    ) -> AsyncIterator["_Session"]:
        clean = clean or not name
        client = _Client(
            CallbackAPIVersion.VERSION2,
            client_id=name,
            clean_session=None if self._five else clean,
            protocol=MQTTv5 if self._five else MQTTv311,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.addresses = self._addresses
        credentials = self._server.credentials
        if credentials.username or credentials.password or credentials.token:
            client.username_pw_set(credentials.username, credentials.password or credentials.token)
        if self._context is not None:
            client.tls_set_context(self._context)
        session = _Session(client, arrivals)
        options: dict[str, Any] = {}
        if self._five:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.ReceiveMaximum = most
            if not clean:
                properties.SessionExpiryInterval = _SESSION_SECONDS
            options = {"clean_start": clean, "properties": properties}
        try:
            await session.open(self._server, options)
            yield session
        finally:
            await session.close()

    def _properties(self, message: OutboundMessage) -> Properties | None:
        if not self._five:
            return None
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.ContentType = message.content_type
        if message.headers:
            properties.UserProperty = list(message.headers.items())
        if message.correlation_id:
            properties.CorrelationData = message.correlation_id.encode()
        return properties


class _Session:
    """A connection. paho reads and writes on a thread of its own, which calls back here."""

    def __init__(self, client: _Client, arrivals: Arrivals | None) -> None:
        self._client = client
        self._arrivals = arrivals
        self._loop = asyncio.get_running_loop()
        self._connected: asyncio.Future[None] = self._loop.create_future()
        self._waiting: dict[tuple[str, int], asyncio.Future[ReasonCode]] = {}
        self._early: dict[tuple[str, int], ReasonCode] = {}
        """Answers that arrive before one waits for them."""
        self._closing = False
        client.on_connect = lambda _c, _u, _f, code, _p: self._call(self._on_connect, code)
        client.on_disconnect = lambda _c, _u, _f, code, _p: self._call(self._on_disconnect, code)
        client.on_publish = lambda _c, _u, id_, code, _p: self._call(self._on_answer, ("publish", id_), code)
        client.on_subscribe = lambda _c, _u, id_, codes, _p: self._call(
            self._on_answer, ("subscribe", id_), codes[0]
        )
        client.on_message = lambda _c, _u, message: self._call(self._on_message, message)

    def _call(self, function: Callable[..., None], *arguments: Any) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *arguments)

    async def open(self, server: Server, options: dict[str, Any]) -> None:
        """Connects. Raises `BrokerError` or `OSError`."""
        try:
            await asyncio.to_thread(
                self._client.connect, server.host, server.port, _KEEP_ALIVE_SECONDS, **options
            )
        except ssl.SSLError:
            raise BrokerError("no TLS connection could be made") from None
        self._client.loop_start()
        await self._connected

    async def close(self) -> None:
        """Disconnects. The broker keeps the session."""
        self._closing = True
        if self._connected.done() and not self._connected.cancelled():
            self._connected.exception()
        await asyncio.shield(asyncio.to_thread(self._client.close))

    async def publish(
        self, topic: str, payload: bytes, qos: int, retain: bool, properties: Properties | None
    ) -> None:
        """Publishes, and waits for the broker's answer."""
        try:
            sent = self._client.publish(topic, payload, qos, retain, properties)
        except ValueError as error:
            raise NotPossible(f"the topic or the message cannot be used: {error}") from None
        await self._answer("publish", sent.mid)

    async def subscribe(self, topic: str, qos: int) -> None:
        """Subscribes, and waits for the broker's answer."""
        try:
            _, id_ = self._client.subscribe(topic, qos)
        except ValueError as error:
            raise NotPossible(f"the topic cannot be used: {error}") from None
        if id_ is None:
            raise BrokerError("the connection was closed")
        await self._answer("subscribe", id_)

    def acknowledge(self, message: InboundMessage) -> None:
        """Acknowledges a message; those of QoS 0 have no acknowledgement."""
        id_, qos = message.receipt
        if qos:
            self._client.ack(id_, qos)

    async def _answer(self, what: str, id_: int) -> None:
        key = what, id_
        if key in self._early:
            code = self._early.pop(key)
        else:
            self._waiting[key] = waiting = self._loop.create_future()
            code = await waiting
        if code.is_failure:
            raise BrokerError(f"the broker refuses to {what}: {code}")

    def _on_connect(self, code: ReasonCode) -> None:
        if self._connected.done():
            return
        if not code.is_failure:
            self._connected.set_result(None)
        elif str(code) in _CREDENTIALS:
            self._connected.set_exception(CredentialsRefused("the broker does not accept the credentials"))
        else:
            self._connected.set_exception(BrokerError(f"the broker refuses the connection: {code}"))

    def _on_disconnect(self, code: ReasonCode) -> None:
        if self._closing:
            return
        error = BrokerError(f"the connection was closed ({code})")
        if not self._connected.done():
            self._connected.set_exception(NotReached(str(error)))
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(error)
        if self._arrivals is not None:
            self._arrivals.fail(error)

    def _on_answer(self, key: tuple[str, int], code: ReasonCode) -> None:
        waiting = self._waiting.pop(key, None)
        if waiting is None:
            self._early[key] = code
        elif not waiting.done():
            waiting.set_result(code)

    def _on_message(self, message: MQTTMessage) -> None:
        if self._arrivals is not None:
            self._arrivals.put(_inbound(message))


class _Topic:
    """Messages of a topic."""

    def __init__(self, session: _Session, arrivals: Arrivals, forget: Callable[[], Any]) -> None:
        self._session = session
        self._arrivals = arrivals
        self._forget = forget

    async def next(self) -> InboundMessage:
        """See `Subscription`."""
        return await self._arrivals.next()

    async def acknowledge(self, messages: Sequence[InboundMessage]) -> None:
        """See `Subscription`."""
        for message in messages:
            self._session.acknowledge(message)

    async def end(self) -> None:
        """Removes the session."""
        await self._forget()


def _inbound(message: MQTTMessage) -> InboundMessage:
    receipt = message.mid, message.qos
    properties = message.properties
    if properties is None:
        return InboundMessage(bytes(message.payload), receipt=receipt)
    correlation = getattr(properties, "CorrelationData", b"")
    return InboundMessage(
        bytes(message.payload),
        getattr(properties, "ContentType", ""),
        dict(getattr(properties, "UserProperty", ())),
        correlation.decode("utf-8", "replace"),
        receipt=receipt,
    )


def _qos(qos: Json) -> int:
    if qos is None:
        return 1
    if qos not in (0, 1, 2) or isinstance(qos, bool):
        raise NotPossible(f"the binding's qos must be 0, 1 or 2, not {qos!r}")
    return int(qos)
