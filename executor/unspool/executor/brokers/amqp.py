"""AMQP 0-9-1, as RabbitMQ speaks it, with aiormq.

The binding of the channel says whether it is a queue (`is: queue`) or a routing key of an exchange. Messages
are published with confirmation. A subscription to a queue consumes from that queue, which must exist. A
subscription to an exchange has a queue of its own, which RabbitMQ removes an hour after it was last used.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final
from urllib.parse import quote

from aiormq import Connection
from aiormq.abc import AbstractChannel, DeliveredMessage
from aiormq.connection import TransportFactory
from aiormq.exceptions import (
    AMQPError,
    AuthenticationError,
    ChannelInvalidStateError,
    ProbableAuthenticationError,
    PublishError,
)
from pamqp.commands import Basic
from yarl import URL

from unspool.definitions.json_value import Json
from unspool.eventstore.waiting import cancel, uninterrupted
from unspool.executor.brokers.arrivals import Arrivals
from unspool.executor.brokers.port import (
    BrokerError,
    Channel,
    CredentialsRefused,
    InboundMessage,
    NotPossible,
    OutboundMessage,
    Server,
    Subscriber,
    Subscription,
)
from unspool.executor.egress import AddressRefused
from unspool.executor.outbound import Outbound

_KEPT_MILLISECONDS: Final = 3_600_000
_PERSISTENT: Final = 2

_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Checked(TransportFactory):
    """Connects to a checked address, and checks the certificate for the name."""

    def __init__(self, server: Server, outbound: Outbound) -> None:
        self._server = server
        self._outbound = outbound
        self.refused: OSError | None = None

    async def create(self, url: URL, **_: Any) -> _Streams:  # noqa: ARG002 - as aiormq calls it
        """Connects."""
        try:
            connection = await self._outbound.connect(self._server.host, self._server.port)
        except OSError as error:
            self.refused = error
            raise
        if not self._server.tls:
            return await asyncio.open_connection(sock=connection)
        context = await asyncio.to_thread(ssl.create_default_context)
        try:
            return await asyncio.open_connection(
                sock=connection, ssl=context, server_hostname=self._server.host
            )
        except ssl.SSLError:
            raise BrokerError("no TLS connection could be made") from None


@asynccontextmanager
async def connected(server: Server, outbound: Outbound) -> AsyncIterator["AmqpBroker"]:
    """Connects to a broker. The path of the server is the virtual host."""
    credentials = server.credentials
    user = quote(credentials.username or "guest", safe="")
    password = quote(credentials.password or credentials.token or "guest", safe="")
    path = quote(server.path.removeprefix("/"), safe="")
    transport = _Checked(server, outbound)
    # Only the credentials and the virtual host of the URL are used; `_Checked` connects.
    url = URL(f"amqp://{user}:{password}@broker/{path}", encoded=True)
    connection = Connection(url, transport_factory=transport)
    try:
        async with _errors():
            try:
                await connection.connect()
            except (AMQPError, OSError):
                if isinstance(transport.refused, AddressRefused):
                    raise AddressRefused from None
                raise
        yield AmqpBroker(connection)
    finally:
        with suppress(AMQPError, OSError, ChannelInvalidStateError):
            await uninterrupted(connection.close())


@asynccontextmanager
async def _errors() -> AsyncIterator[None]:
    try:
        yield
    except AddressRefused:
        raise
    except (AuthenticationError, ProbableAuthenticationError):
        raise CredentialsRefused("the broker does not accept the credentials") from None
    except PublishError:
        raise BrokerError("no queue takes the message") from None
    except (AMQPError, ChannelInvalidStateError) as error:
        reason = str(error) or type(error).__name__
        raise BrokerError(f"the broker refuses: {reason[:200]}") from None


class AmqpBroker:
    """A connection to a broker."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def publish(self, channel: Channel, message: OutboundMessage) -> None:
        """See `Broker`. The broker confirms the message; without a queue that takes it, it is an error.

        With the binding's `mandatory: false`, a message that no queue takes is dropped.
        """
        exchange, key = _exchange(channel), channel.address
        if _is_queue(channel):
            exchange, key = "", _queue_name(channel)
        async with _errors():
            opened = await self._connection.channel(publisher_confirms=True, on_return_raises=True)
            await opened.basic_publish(
                message.payload,
                exchange=exchange,
                routing_key=key,
                properties=_properties(channel.options, message),
                mandatory=channel.options.get("mandatory") is not False,
            )

    @asynccontextmanager
    async def subscribe(self, channel: Channel, subscriber: Subscriber) -> AsyncIterator[Subscription]:
        """See `Broker`."""
        arrivals = Arrivals(subscriber.max_bytes)

        async def on_message(message: DeliveredMessage) -> None:
            arrivals.put(_inbound(message))

        async with _errors():
            opened = await self._connection.channel(publisher_confirms=False)
            await opened.basic_qos(prefetch_count=subscriber.most_unacknowledged)
            queue = await _queue(opened, channel, subscriber)
            consumer = await opened.basic_consume(queue, on_message)
        failing = asyncio.create_task(_fail_when_closed(opened, arrivals))
        try:
            own = None if _is_queue(channel) else queue
            yield _Queue(opened, arrivals, str(consumer.consumer_tag), own)
        finally:
            await cancel([failing])


async def _fail_when_closed(channel: AbstractChannel, arrivals: Arrivals) -> None:
    await asyncio.wait({channel.closing})
    arrivals.fail(BrokerError("the connection was closed"))


class _Queue:
    """Messages of a queue."""

    def __init__(self, channel: AbstractChannel, arrivals: Arrivals, consumer: str, own: str | None) -> None:
        self._channel = channel
        self._arrivals = arrivals
        self._consumer = consumer
        self._own = own

    async def next(self) -> InboundMessage:
        """See `Subscription`."""
        return await self._arrivals.next()

    async def acknowledge(self, messages: Sequence[InboundMessage]) -> None:
        """See `Subscription`. All messages up to the last one are acknowledged at once."""
        async with _errors():
            await self._channel.basic_ack(messages[-1].receipt, multiple=True)

    async def end(self) -> None:
        """Removes a queue of its own; gives other messages back to a queue of others."""
        async with _errors():
            await self._channel.basic_cancel(self._consumer)
            if self._own is not None:
                await self._channel.queue_delete(self._own)
            await self._channel.close()


async def _queue(opened: AbstractChannel, channel: Channel, subscriber: Subscriber) -> str:
    """The queue to consume from; makes one for an exchange, unless it is there."""
    if _is_queue(channel):
        return _queue_name(channel)
    await opened.queue_declare(subscriber.name, durable=True, arguments={"x-expires": _KEPT_MILLISECONDS})
    await opened.queue_bind(subscriber.name, _exchange(channel), channel.address)
    return subscriber.name


def _is_queue(channel: Channel) -> bool:
    return channel.options.get("is") == "queue"


def _named(channel: Channel, member: str) -> str | None:
    found = channel.options.get(member)
    name = found.get("name") if isinstance(found, dict) else None
    return name if isinstance(name, str) else None


def _queue_name(channel: Channel) -> str:
    return _named(channel, "queue") or channel.address


def _exchange(channel: Channel) -> str:
    exchange = _named(channel, "exchange")
    if exchange is None and not _is_queue(channel):
        return "amq.topic"
    return exchange or ""


def _properties(options: Mapping[str, Json], message: OutboundMessage) -> Basic.Properties:
    expiration, priority = options.get("expiration"), options.get("priority")
    mode = options.get("deliveryMode", _PERSISTENT)
    if mode not in (1, 2):
        raise NotPossible(f"the binding's deliveryMode must be 1 or 2, not {mode!r}")
    return Basic.Properties(
        content_type=message.content_type,
        headers=dict(message.headers),
        delivery_mode=mode,
        priority=priority if isinstance(priority, int) and 0 <= priority <= 255 else None,
        correlation_id=message.correlation_id or None,
        expiration=str(expiration) if isinstance(expiration, int) else None,
        message_id=message.id,
    )


def _inbound(message: DeliveredMessage) -> InboundMessage:
    properties = message.header.properties
    headers = {str(name): _text(value) for name, value in (properties.headers or {}).items()}
    return InboundMessage(
        bytes(message.body),
        properties.content_type or "",
        headers,
        properties.correlation_id or "",
        receipt=message.delivery_tag,
    )


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes | bytearray) else str(value)
