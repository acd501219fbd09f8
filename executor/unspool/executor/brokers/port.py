"""The port of message brokers: publish a message, or subscribe to messages and acknowledge them.

An adapter connects only to addresses that the egress policy allows. Its errors name the server and the cause,
and no credentials.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from unspool.definitions.json_value import Json


class BrokerError(Exception):
    """A broker did not do what it was asked for."""

    def __init__(self, cause: str, status: int | None = None) -> None:
        """`status`: of the response, if the protocol has one."""
        super().__init__(cause)
        self.status = status


class NotReached(BrokerError, OSError):
    """The broker gave no answer."""


class CredentialsRefused(BrokerError):
    """The broker does not accept the credentials."""


class MessageTooLarge(BrokerError):
    """A message is larger than the limit."""

    def __init__(self, most_bytes: int) -> None:
        super().__init__(f"a message is larger than {most_bytes} bytes")


class NotPossible(BrokerError):
    """The protocol, or its adapter, cannot do this."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What shows a broker who connects."""

    username: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """For HTTP requests."""
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Parameters for HTTP requests."""
    mechanism: str = "PLAIN"
    """Of SASL."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Texts to hide in errors."""
        every = (self.password, self.token, *self.headers.values(), *self.query.values())
        return tuple(text for text in every if text)


@dataclass(frozen=True, slots=True)
class Server:
    """Where a broker is."""

    protocol: str
    """As the document names it, such as `mqtt5`."""
    host: str
    port: int
    path: str
    """Begins with `/`, or is empty. In AMQP it is the virtual host, in Redis the database."""
    tls: bool
    credentials: Credentials = field(default_factory=Credentials)
    version: str = ""
    """Of the protocol, if the document names it."""
    options: Mapping[str, Json] = field(default_factory=dict)
    """The server's binding for the protocol."""

    @property
    def label(self) -> str:
        """The server as errors name it."""
        return f"{self.protocol}://{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Channel:
    """Where messages are published, or come from."""

    address: str
    options: Mapping[str, Json] = field(default_factory=dict)
    """The bindings of the channel, the operation and the message for the protocol, in one map."""


@dataclass(frozen=True, slots=True)
class OutboundMessage:
    """A message to publish."""

    payload: bytes
    content_type: str
    headers: Mapping[str, str] = field(default_factory=dict)
    correlation_id: str = ""
    id: str = ""
    """The same for each attempt to publish it."""


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """A message that a broker has delivered."""

    payload: bytes
    content_type: str = ""
    """Empty if the broker does not tell it."""
    headers: Mapping[str, str] = field(default_factory=dict)
    correlation_id: str = ""
    id: str = ""
    """The same each time the broker delivers it; empty if the protocol has no such id."""
    receipt: Any = None
    """What the adapter needs to acknowledge it."""


@dataclass(frozen=True, slots=True)
class Subscriber:
    """Who subscribes."""

    name: str
    """The same for each attempt of one task, so that a broker can continue its subscription."""
    max_bytes: int
    """Of one message."""
    most_unacknowledged: int = 100
    """How many messages the broker may deliver before the first is acknowledged."""


class Subscription(Protocol):
    """Messages of a channel. Those that are not acknowledged when it closes are delivered again, if the
    protocol can do that.
    """

    async def next(self) -> InboundMessage:
        """Waits for the next message. A call that was cancelled is the last one.

        Raises `BrokerError` or `OSError`.
        """

    async def acknowledge(self, messages: Sequence[InboundMessage]) -> None:
        """Tells the broker not to deliver these messages again; at least one, in the order of `next`.

        Raises `BrokerError` or `OSError`.
        """

    async def end(self) -> None:
        """Removes what the broker keeps for the subscription, because it does not continue."""


class Broker(Protocol):
    """A connection to a broker."""

    async def publish(self, channel: Channel, message: OutboundMessage) -> None:
        """Returns when the broker has the message, if the protocol tells it.

        Raises `BrokerError` or `OSError`.
        """

    def subscribe(
        self, channel: Channel, subscriber: Subscriber
    ) -> AbstractAsyncContextManager[Subscription]:
        """A subscription that closes with the context. Raises `BrokerError` or `OSError`."""
