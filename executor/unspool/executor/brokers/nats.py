"""NATS and JetStream, with nats-py.

The channel is the subject. Core NATS keeps no messages and has no acknowledgements. With the binding's
`x-stream`, messages go to a stream of JetStream and come from it, are acknowledged, and are delivered again
if they are not. `x-durable` names a consumer of the stream that tasks share; without it, each subscription
has one of its own, which begins with new messages. Servers that a server announces are never used.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import AuthorizationError, Error, NoServersError
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js.api import AckPolicy, ConsumerConfig, ConsumerInfo, DeliverPolicy
from nats.js.errors import APIError

from unspool.eventstore.waiting import cancel, uninterrupted
from unspool.executor.brokers.arrivals import Arrivals
from unspool.executor.brokers.port import (
    BrokerError,
    Channel,
    CredentialsRefused,
    InboundMessage,
    MessageTooLarge,
    NotPossible,
    NotReached,
    OutboundMessage,
    Server,
    Subscriber,
    Subscription,
)
from unspool.executor.brokers.tls import context_for
from unspool.executor.outbound import CONNECT_SECONDS, Outbound

_CONTENT_TYPE: Final = "Content-Type"
_ID: Final = "Nats-Msg-Id"
_CLOSE_SECONDS: Final = 2.0
_FETCH_SECONDS: Final = 1.0
_REDELIVER_SECONDS: Final = 10.0
"""After this time without an acknowledgement, JetStream delivers a message again."""

_KEPT_SECONDS: Final = 3600.0
"""How long JetStream keeps a consumer without a connection."""


@asynccontextmanager
async def connected(server: Server, outbound: Outbound) -> AsyncIterator["NatsBroker"]:
    """Connects to a server."""
    address = await outbound.reachable_address(server.host, server.port)
    host = f"[{address}]" if ":" in address else address
    credentials = server.credentials
    lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def on_error(error: Exception) -> None:
        if "authorization" in str(error).lower() and not lost.done():
            lost.set_exception(CredentialsRefused("the server does not accept the credentials"))

    async def on_closed() -> None:
        if not lost.done():
            lost.set_exception(BrokerError("the connection was closed"))

    options: dict[str, Any] = {
        "allow_reconnect": False,  # it could be to a server that another server has announced
        "max_reconnect_attempts": 0,
        "connect_timeout": int(CONNECT_SECONDS),
        "error_cb": on_error,
        "closed_cb": on_closed,
        "user": credentials.username or None,
        "password": credentials.password or None,
        "token": credentials.token or None,
    }
    if server.tls:
        options |= {"tls": await asyncio.to_thread(context_for, server.host), "tls_hostname": server.host}
    client = Client()
    try:
        # nats-py tries a server that says nothing several times, with pauses.
        async with _errors(), asyncio.timeout(CONNECT_SECONDS):
            await client.connect(f"nats://{host}:{server.port}", **options)
        yield NatsBroker(client, lost)
    finally:
        await uninterrupted(_close(client))
        if lost.done() and not lost.cancelled():
            lost.exception()


async def _close(client: Client) -> None:
    with suppress(TimeoutError):  # a server that does not end TLS, too, would be waited for
        async with asyncio.timeout(_CLOSE_SECONDS):
            await client.close()


@asynccontextmanager
async def _errors() -> AsyncIterator[None]:
    try:
        yield
    except AuthorizationError:
        raise CredentialsRefused("the server does not accept the credentials") from None
    except APIError as error:
        raise BrokerError(f"JetStream refuses: {error.description or error.code}") from None
    except NoServersError:
        raise NotReached("no connection could be made") from None
    except Error as error:
        if "authorization" in str(error).lower():
            raise CredentialsRefused("the server does not accept the credentials") from None
        raise BrokerError(f"NATS failed ({type(error).__name__})") from None


class NatsBroker:
    """A connection to a server."""

    def __init__(self, client: Client, lost: "asyncio.Future[None]") -> None:
        self._client = client
        self._lost = lost

    async def publish(self, channel: Channel, message: OutboundMessage) -> None:
        """See `Broker`. JetStream has the message; core NATS tells only that the server has got it."""
        headers = {**message.headers, _CONTENT_TYPE: message.content_type}
        async with _errors():
            if (stream := _stream(channel)) is not None:
                await self._client.jetstream().publish(
                    _subject(channel), message.payload, stream=stream, headers={**headers, _ID: message.id}
                )
                return
            await self._client.publish(_subject(channel), message.payload, headers=headers)
            await self._client.flush(int(CONNECT_SECONDS))
        if self._lost.done():
            self._lost.result()

    @asynccontextmanager
    async def subscribe(self, channel: Channel, subscriber: Subscriber) -> AsyncIterator[Subscription]:
        """See `Broker`."""
        stream = _stream(channel)
        if stream is not None:
            consumer = _Stream(self._client, self._lost, channel, stream, subscriber)
            await consumer.open()
            try:
                yield consumer
            finally:
                await uninterrupted(consumer.leave())
            return
        arrivals = Arrivals(subscriber.max_bytes)

        async def on_message(message: Msg) -> None:
            arrivals.put(_inbound(message))

        async with _errors():
            queue = channel.options.get("queue")
            await self._client.subscribe(
                _subject(channel), queue if isinstance(queue, str) else "", cb=on_message
            )
            await self._client.flush(int(CONNECT_SECONDS))
        failing = asyncio.create_task(_fail_when_lost(self._lost, arrivals))
        try:
            yield _Subject(arrivals)
        finally:
            await cancel([failing])


async def _fail_when_lost(lost: "asyncio.Future[None]", arrivals: Arrivals) -> None:
    await asyncio.wait({lost})
    error = lost.exception()
    if isinstance(error, Exception):
        arrivals.fail(error)


class _Subject:
    """Messages of core NATS."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals

    async def next(self) -> InboundMessage:
        """See `Subscription`."""
        return await self._arrivals.next()

    async def acknowledge(self, messages: Sequence[InboundMessage]) -> None:
        """Nothing: core NATS has no acknowledgements."""

    async def end(self) -> None:
        """Nothing: core NATS keeps nothing."""


class _Stream:
    """Messages of a stream of JetStream."""

    def __init__(
        self,
        client: Client,
        lost: "asyncio.Future[None]",
        channel: Channel,
        stream: str,
        subscriber: Subscriber,
    ) -> None:
        self._client = client
        self._jetstream = client.jetstream()
        self._lost = lost
        self._channel = channel
        self._stream = stream
        shared = channel.options.get("x-durable")
        self._own = not isinstance(shared, str)
        self._name = shared if isinstance(shared, str) else subscriber.name.replace(".", "-")
        self._subscriber = subscriber
        self._fetched: deque[Msg] = deque()
        self._pull: Any = None
        self._takeover = _Takeover(missing=0, last=0, until=0.0)

    async def open(self) -> None:
        """Makes the consumer, unless it is there."""
        config = ConsumerConfig(
            deliver_policy=DeliverPolicy.NEW if self._own else DeliverPolicy.ALL,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=_REDELIVER_SECONDS,
            max_ack_pending=self._subscriber.most_unacknowledged,
            inactive_threshold=_KEPT_SECONDS if self._own else None,
        )
        async with _errors():
            self._pull = await self._jetstream.pull_subscribe(
                _subject(self._channel), durable=self._name, stream=self._stream, config=config
            )
            if self._own:
                self._takeover = _takeover(await self._pull.consumer_info())

    async def next(self) -> InboundMessage:
        """See `Subscription`."""
        async with _errors():
            while not self._fetched:
                if self._lost.done():
                    self._lost.result()
                with suppress(NatsTimeoutError):
                    found = await self._pull.fetch(
                        self._subscriber.most_unacknowledged, timeout=_FETCH_SECONDS
                    )
                    self._takeover.add(found)
                self._fetched.extend(self._takeover.in_order())
        message = self._fetched.popleft()
        if len(message.data) > self._subscriber.max_bytes:
            raise MessageTooLarge(self._subscriber.max_bytes)
        return _inbound(message, f"{self._stream}/{message.metadata.sequence.stream}")

    async def acknowledge(self, messages: Sequence[InboundMessage]) -> None:
        """See `Subscription`. Waits until the server has the last acknowledgement."""
        async with _errors():
            for message in messages[:-1]:
                await message.receipt.ack()
            await messages[-1].receipt.ack_sync()

    async def leave(self) -> None:
        """Ends the last fetch. JetStream could answer it with a message that then comes again only later."""
        with suppress(Error, TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._pull.unsubscribe()
                await self._client.flush(int(_CLOSE_SECONDS))

    async def end(self) -> None:
        """Removes a consumer of its own."""
        if self._own:
            async with _errors():
                await self._jetstream.delete_consumer(self._stream, self._name)


class _Takeover:
    """Keeps messages in order after an attempt that did not acknowledge all that it got.

    JetStream delivers those again after a time, but new messages at once. New ones are held until the others
    are here.
    """

    def __init__(self, *, missing: int, last: int, until: float) -> None:
        self._missing = missing
        """How many messages are to be delivered again."""
        self._last = last
        """The last message of the stream that was delivered before."""
        self._until = until
        """The time of the event loop at which messages are no longer held: the other attempt may have
        acknowledged them meanwhile."""
        self._held: dict[int, Msg] = {}

    def add(self, messages: Sequence[Msg]) -> None:
        """Adds messages that were delivered."""
        self._held.update({message.metadata.sequence.stream: message for message in messages})

    def in_order(self) -> list[Msg]:
        """Takes the messages that need not be held."""
        again = sum(place <= self._last for place in self._held)
        if again < self._missing and asyncio.get_running_loop().time() < self._until:
            return []
        self._missing = 0
        taken = [self._held[place] for place in sorted(self._held)]
        self._held.clear()
        return taken


def _takeover(consumer: ConsumerInfo) -> _Takeover:
    return _Takeover(
        missing=consumer.num_ack_pending or 0,
        last=consumer.delivered.stream_seq if consumer.delivered else 0,
        until=asyncio.get_running_loop().time() + 2 * _REDELIVER_SECONDS,
    )


def _inbound(message: Msg, id_: str = "") -> InboundMessage:
    headers = dict(message.headers or {})
    return InboundMessage(
        message.data, headers.pop(_CONTENT_TYPE, ""), headers, id=id_, receipt=message if id_ else None
    )


def _stream(channel: Channel) -> str | None:
    stream = channel.options.get("x-stream")
    return stream if isinstance(stream, str) else None


def _subject(channel: Channel) -> str:
    if not channel.address or not channel.address.isprintable() or " " in channel.address:
        raise NotPossible("the address of the channel is not a subject of NATS")
    return channel.address
