"""Redis: channels of pub/sub, and streams.

A channel of pub/sub keeps no messages: who does not listen misses them, and nothing is acknowledged. A stream
keeps them. The binding `redis` of the channel has `x-type: stream` for a stream, and `x-group` for a consumer
group that tasks share. Without one, each subscription has a group of its own, which begins with new entries.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import orjson
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

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
from unspool.executor.outbound import CONNECT_SECONDS, Outbound

_PAYLOAD: Final = "payload"
_CONTENT_TYPE: Final = "content-type"
_NEW: Final = ">"
_PENDING: Final = "0"
_BLOCK_MILLISECONDS: Final = 1_000
_REPLY_SECONDS: Final = 10.0
_LOOK_AGAIN_SECONDS: Final = 5.0
"""Time between two reads of pending entries: an executor that has lost the task may have read one."""

_NO_AUTHORIZATION: Final = ("NOAUTH", "WRONGPASS", "NOPERM")


class _TlsConnection(redis.asyncio.SSLConnection):
    """Connects to an address, and checks the certificate for the name."""

    def __init__(self, server_hostname: str = "", **options: Any) -> None:
        super().__init__(**options)
        self._server_hostname = server_hostname

    def _connection_arguments(self) -> Any:
        return {**super()._connection_arguments(), "server_hostname": self._server_hostname}


@asynccontextmanager
async def connected(server: Server, outbound: Outbound) -> AsyncIterator["RedisBroker"]:
    """Connects to a Redis. The path of the server is the number of the database."""
    address = await outbound.reachable_address(server.host, server.port)
    database = server.path.strip("/") or "0"
    if not database.isdigit():
        raise NotPossible(f"the database of Redis is a number, not {database!r}")
    options: dict[str, Any] = {
        "host": address,
        "port": server.port,
        "db": int(database),
        "username": server.credentials.username or None,
        "password": server.credentials.password or server.credentials.token or None,
        "protocol": 2,
        "socket_connect_timeout": CONNECT_SECONDS,
        # Without a timeout of redis-py, which waits with `asyncio.wait_for`: on Python 3.11 that can lose a
        # cancellation, and the task would never end.
        "socket_timeout": None,
        "retry": Retry(NoBackoff(), 0),
    }
    if server.tls:
        options |= {"connection_class": _TlsConnection, "server_hostname": server.host}
        options |= {"ssl_check_hostname": True, "ssl_cert_reqs": ssl.CERT_REQUIRED}
    pool = redis.asyncio.ConnectionPool(**options)
    client = redis.asyncio.Redis.from_pool(pool)
    try:
        async with _replying():
            await client.ping()
        yield RedisBroker(client)
    finally:
        await uninterrupted(client.aclose())


@asynccontextmanager
async def _errors() -> AsyncIterator[None]:
    try:
        yield
    except AuthenticationError:
        raise CredentialsRefused("Redis does not accept the credentials") from None
    except ResponseError as error:
        text = str(error)
        if text.startswith(_NO_AUTHORIZATION) or "Authentication required" in text:
            raise CredentialsRefused("Redis does not accept the credentials") from None
        raise BrokerError(f"Redis refuses: {text[:200]}") from None
    except RedisConnectionError as error:
        if isinstance(error.__cause__, ssl.SSLError) or isinstance(error.__context__, ssl.SSLError):
            raise BrokerError("no TLS connection could be made") from None
        raise NotReached("the connection to Redis failed") from None
    except RedisTimeoutError:
        raise NotReached("Redis did not answer in time") from None
    except RedisError as error:
        raise BrokerError(f"Redis failed ({type(error).__name__})") from None


@asynccontextmanager
async def _replying() -> AsyncIterator[None]:
    """Limits how long Redis may take for the replies in the block."""
    try:
        async with _errors(), asyncio.timeout(_REPLY_SECONDS):
            yield
    except TimeoutError:
        raise BrokerError(f"Redis did not answer within {_REPLY_SECONDS:g} s") from None


class RedisBroker:
    """A connection to a Redis."""

    def __init__(self, client: "redis.asyncio.Redis") -> None:
        self._client = client

    async def publish(self, channel: Channel, message: OutboundMessage) -> None:
        """See `Broker`. Redis confirms that it has the message, not that a program listens."""
        async with _replying():
            if _is_stream(channel):
                await self._client.xadd(channel.address, _entry(channel, message), **_length(channel))
                return
            if message.headers:
                raise NotPossible("a channel of Redis pub/sub has no headers; a stream has")
            await self._client.publish(channel.address, message.payload)

    @asynccontextmanager
    async def subscribe(self, channel: Channel, subscriber: Subscriber) -> AsyncIterator[Subscription]:
        """See `Broker`."""
        if not _is_stream(channel):
            async with self._client.pubsub(ignore_subscribe_messages=True) as pubsub:
                async with _replying():
                    await pubsub.subscribe(channel.address)
                yield _Channel(pubsub, subscriber)
            return
        stream = _Stream(self._client, channel, subscriber)
        await stream.open()
        yield stream


class _Channel:
    """Messages of pub/sub."""

    def __init__(self, pubsub: Any, subscriber: Subscriber) -> None:
        self._pubsub = pubsub
        self._subscriber = subscriber

    async def next(self) -> InboundMessage:
        """See `Subscription`."""
        async with _errors():
            while True:
                found = await self._pubsub.get_message(timeout=_BLOCK_MILLISECONDS / 1000)
                if found is not None:
                    return InboundMessage(_checked(found["data"], self._subscriber))

    async def acknowledge(self, messages: Sequence[InboundMessage]) -> None:
        """Nothing: Redis keeps no message of pub/sub."""

    async def end(self) -> None:
        """Nothing: Redis keeps nothing."""


class _Stream:
    """Entries of a stream, read by a consumer group."""

    def __init__(self, client: "redis.asyncio.Redis", channel: Channel, subscriber: Subscriber) -> None:
        self._client = client
        self._key = channel.address
        self._channel = channel
        shared = channel.options.get("x-group")
        self._own = not isinstance(shared, str)
        self._group: str = subscriber.name if not isinstance(shared, str) else shared
        self._subscriber = subscriber
        self._read: deque[Any] = deque()
        self._after: str | bytes = _PENDING
        """Where the next read begins: among the entries that another attempt has read, or new ones."""
        self._look_again_at = 0.0

    async def open(self) -> None:
        """Creates the group. One of its own begins with new entries, a shared one with the first."""
        async with _replying():
            try:
                start = "$" if self._own else "0"
                await self._client.xgroup_create(self._key, self._group, start, mkstream=True)
            except ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise

    async def next(self) -> InboundMessage:
        """See `Subscription`. Entries that an earlier attempt did not acknowledge are first.

        Entries that are not acknowledged come again after some seconds.
        """
        while not self._read:
            async with _replying():
                await self._fill()
        id_, fields = self._read.popleft()
        return self._message(id_.decode(), fields)

    async def _fill(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._after == _NEW and now >= self._look_again_at:
            self._after = _PENDING
        streams: Any = {self._key: self._after}
        reply: Any = await self._client.xreadgroup(
            self._group,
            self._subscriber.name,
            streams,
            count=self._subscriber.most_unacknowledged,
            block=_BLOCK_MILLISECONDS if self._after == _NEW else None,
        )
        entries = reply[0][1] if reply else []
        if self._after != _NEW:
            self._after = entries[-1][0] if entries else _NEW
            self._look_again_at = now + _LOOK_AGAIN_SECONDS
        self._read.extend(entry for entry in entries if entry[1])  # one that was deleted has no fields

    def _message(self, id_: str, fields: dict[bytes, bytes]) -> InboundMessage:
        named = {name.decode("utf-8", "replace"): value for name, value in fields.items()}
        payload = named.pop(_field(self._channel), None)
        if payload is None:
            texts = {name: value.decode("utf-8", "replace") for name, value in named.items()}
            payload = orjson.dumps(texts)
            named = {_CONTENT_TYPE: b"application/json"}
        headers = {name: value.decode("utf-8", "replace") for name, value in named.items()}
        return InboundMessage(
            _checked(payload, self._subscriber), headers.pop(_CONTENT_TYPE, ""), headers, id=id_, receipt=id_
        )

    async def acknowledge(self, messages: Sequence[InboundMessage]) -> None:
        """See `Subscription`."""
        async with _replying():
            await self._client.xack(self._key, self._group, *(message.receipt for message in messages))

    async def end(self) -> None:
        """Removes a group of its own. A shared one stays, without this consumer if nothing is pending."""
        async with _replying():
            if self._own:
                await self._client.xgroup_destroy(self._key, self._group)
                return
            pending = await self._client.xpending_range(
                self._key, self._group, "-", "+", 1, self._subscriber.name
            )
            if not pending:
                await self._client.xgroup_delconsumer(self._key, self._group, self._subscriber.name)


def _is_stream(channel: Channel) -> bool:
    return channel.options.get("x-type") == "stream"


def _field(channel: Channel) -> str:
    name = channel.options.get("x-field")
    return name if isinstance(name, str) else _PAYLOAD


def _entry(channel: Channel, message: OutboundMessage) -> Any:
    return {
        **message.headers,
        _CONTENT_TYPE: message.content_type,
        _field(channel): message.payload,
    }


def _length(channel: Channel) -> dict[str, Any]:
    most = channel.options.get("x-max-length")
    return {"maxlen": most, "approximate": True} if isinstance(most, int) and most > 0 else {}


def _checked(payload: bytes, subscriber: Subscriber) -> bytes:
    if len(payload) > subscriber.max_bytes:
        raise MessageTooLarge(subscriber.max_bytes)
    return payload
