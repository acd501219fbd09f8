"""Kafka, with aiokafka.

The channel is the topic, unless its binding names one. Messages are published to all replicas in sync. The
offset after a message is committed when it is consumed. The binding's `groupId` names a consumer group that
tasks share, which begins with the first message; without it, each subscription has a group of its own, which
begins with new messages. Every broker that the first one announces is checked before a connection to it.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any, Final

import aiokafka.client
import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordTooLargeError,
    SaslAuthenticationFailed,
)

from unspool.definitions.json_value import Json
from unspool.eventstore.waiting import uninterrupted
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
from unspool.executor.egress import AddressRefused
from unspool.executor.outbound import Outbound

_CONTENT_TYPE: Final = "content-type"
_REQUEST_MILLISECONDS: Final = 20_000
_SASL: Final = frozenset({"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"})

_outbound: Final[ContextVar[Outbound | None]] = ContextVar("outbound", default=None)
_refused: Final[ContextVar[list[bool]]] = ContextVar("refused")

_connect_unchecked = aiokafka.client.create_conn


async def _connect(host: str, port: int, **options: Any) -> Any:
    """Connects to a checked address. aiokafka connects to every broker with this function.

    aiokafka has no other place for the check. Connections that others in this process make are not changed.
    """
    outbound = _outbound.get()
    if outbound is None:
        return await _connect_unchecked(host, port, **options)
    try:
        address = await outbound.reachable_address(host, port)
    except AddressRefused:
        _refused.get().append(True)
        raise
    if options.get("ssl_context") is not None:
        options["ssl_context"] = await asyncio.to_thread(context_for, host)
    return await _connect_unchecked(address, port, **options)


aiokafka.client.create_conn = _connect


@asynccontextmanager
async def connected(server: Server, outbound: Outbound) -> AsyncIterator["KafkaBroker"]:
    """Uses a server to find the others."""
    credentials = server.credentials
    if credentials.mechanism not in _SASL:
        raise NotPossible(f"the mechanism {credentials.mechanism} cannot be used; {', '.join(_SASL)} can")
    authenticates = bool(credentials.username)
    options: dict[str, Any] = {
        "bootstrap_servers": f"{server.host}:{server.port}",
        "security_protocol": _SECURITY[authenticates, server.tls],
        "request_timeout_ms": _REQUEST_MILLISECONDS,
    }
    if server.tls:
        options["ssl_context"] = await asyncio.to_thread(context_for, server.host)
    if authenticates:
        options |= {
            "sasl_mechanism": credentials.mechanism,
            "sasl_plain_username": credentials.username,
            "sasl_plain_password": credentials.password,
        }
    await outbound.addresses(server.host, server.port)  # aiokafka would hide that it is not allowed
    yield KafkaBroker(options, outbound)


_SECURITY: Final = {
    (False, False): "PLAINTEXT",
    (False, True): "SSL",
    (True, False): "SASL_PLAINTEXT",
    (True, True): "SASL_SSL",
}


@asynccontextmanager
async def _checked(outbound: Outbound) -> AsyncIterator[None]:
    """Checks the connections that are made inside, and by the tasks that are created inside."""
    refused: list[bool] = []
    _outbound.set(outbound)
    _refused.set(refused)
    try:
        yield
    except SaslAuthenticationFailed:
        raise CredentialsRefused("the broker does not accept the credentials") from None
    except (MessageSizeTooLargeError, RecordTooLargeError):
        raise BrokerError("the broker refuses the message, because it is too large") from None
    except KafkaConnectionError:
        if refused:
            raise AddressRefused from None
        raise NotReached("no connection could be made") from None
    except KafkaError as error:
        if refused:
            raise AddressRefused from None
        raise BrokerError(f"Kafka failed ({type(error).__name__})") from None
    finally:
        _outbound.set(None)


class KafkaBroker:
    """A cluster."""

    def __init__(self, options: Mapping[str, Any], outbound: Outbound) -> None:
        self._options = options
        self._outbound = outbound

    async def publish(self, channel: Channel, message: OutboundMessage) -> None:
        """See `Broker`. All replicas in sync have the message."""
        headers = [(name, value.encode()) for name, value in message.headers.items()]
        headers.append((_CONTENT_TYPE, message.content_type.encode()))
        async with _checked(self._outbound):
            producer = AIOKafkaProducer(acks="all", **self._options)
            try:
                await producer.start()
                await producer.send_and_wait(
                    _topic(channel), message.payload, key=_key(channel), headers=headers
                )
            finally:
                await uninterrupted(producer.stop())

    @asynccontextmanager
    async def subscribe(self, channel: Channel, subscriber: Subscriber) -> AsyncIterator[Subscription]:
        """See `Broker`."""
        shared = _written(channel.options.get("groupId"))
        consumer = AIOKafkaConsumer(
            _topic(channel),
            group_id=shared or subscriber.name,
            enable_auto_commit=False,
            auto_offset_reset="earliest" if shared else "latest",
            max_poll_records=subscriber.most_unacknowledged,
            max_partition_fetch_bytes=subscriber.max_bytes + 1024,
            **self._options,
        )
        try:
            async with _checked(self._outbound):
                await consumer.start()
                if not shared:
                    await _commit_start(consumer)
            yield _Topic(consumer, subscriber, self._outbound)
        finally:
            async with _checked(self._outbound):
                await uninterrupted(consumer.stop())


async def _commit_start(consumer: AIOKafkaConsumer) -> None:
    """Commits where a new group begins, so that another attempt continues there."""
    while not consumer.assignment():  # noqa: ASYNC110 - aiokafka has no call that waits for it
        await asyncio.sleep(0.05)
    begins: dict[TopicPartition, int] = {}
    for partition in consumer.assignment():
        if await consumer.committed(partition) is None:
            begins[partition] = await consumer.position(partition)
    if begins:
        await consumer.commit(begins)


class _Topic:
    """Messages of a topic."""

    def __init__(self, consumer: AIOKafkaConsumer, subscriber: Subscriber, outbound: Outbound) -> None:
        self._consumer = consumer
        self._subscriber = subscriber
        self._outbound = outbound

    async def next(self) -> InboundMessage:
        """See `Subscription`."""
        async with _checked(self._outbound):
            record = await self._consumer.getone()
        value = record.value or b""
        if len(value) > self._subscriber.max_bytes:
            raise MessageTooLarge(self._subscriber.max_bytes)
        return _inbound(record, value)

    async def acknowledge(self, messages: Sequence[InboundMessage]) -> None:
        """See `Subscription`. Commits the offset after the last message of each partition."""
        offsets = {partition: offset + 1 for partition, offset in (each.receipt for each in messages)}
        async with _checked(self._outbound):
            await self._consumer.commit(offsets)

    async def end(self) -> None:
        """Nothing: Kafka forgets the offsets of a group that is not used after some days."""


def _inbound(record: ConsumerRecord[bytes, bytes], value: bytes) -> InboundMessage:
    headers = {name: content.decode("utf-8", "replace") for name, content in record.headers}
    partition = TopicPartition(record.topic, record.partition)
    return InboundMessage(
        value,
        headers.pop(_CONTENT_TYPE, ""),
        headers,
        id=f"{record.topic}/{record.partition}/{record.offset}",
        receipt=(partition, record.offset),
    )


def _topic(channel: Channel) -> str:
    topic = channel.options.get("topic")
    return topic if isinstance(topic, str) else channel.address


def _key(channel: Channel) -> bytes | None:
    """The key of the message's binding, which is a schema: its constant, its only value, or its default."""
    key = _written(channel.options.get("key"))
    return key.encode() if key is not None else None


def _written(value: Json) -> str | None:
    """A text, or the one that a schema allows."""
    if isinstance(value, dict):
        allowed = value.get("enum")
        only = allowed[0] if isinstance(allowed, list) and len(allowed) == 1 else None
        value = value.get("const", only if only is not None else value.get("default"))
    if value is None or isinstance(value, str):
        return value
    return orjson.dumps(value).decode()
