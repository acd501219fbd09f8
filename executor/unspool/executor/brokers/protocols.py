"""The protocols, and the modules of their adapters."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from importlib import import_module
from typing import Final, NamedTuple

from unspool.executor.brokers.port import Broker, Server
from unspool.executor.outbound import Outbound

Connect = Callable[[Server, Outbound], AbstractAsyncContextManager[Broker]]
"""Opens a connection, which closes with the context. Raises `BrokerError` or `OSError`."""


class Protocol(NamedTuple):
    """A protocol that can be used."""

    name: str
    """The name of its bindings."""
    module: str
    port: int
    tls: bool = False
    extra: str = ""
    """The extra with its library; empty if none is needed."""


class ExtraMissing(Exception):
    """The library of a protocol is not installed."""

    def __init__(self, protocol: Protocol) -> None:
        wanted = f"pip install unspool[{protocol.extra}]"
        super().__init__(f"{protocol.name} needs a library; install it with: {wanted}")


_PACKAGE: Final = "unspool.executor.brokers."

PROTOCOLS: Final[dict[str, Protocol]] = {
    "amqp": Protocol("amqp", "amqp", 5672, extra="amqp"),
    "amqps": Protocol("amqp", "amqp", 5671, tls=True, extra="amqp"),
    "http": Protocol("http", "http", 80),
    "https": Protocol("http", "http", 443, tls=True),
    "kafka": Protocol("kafka", "kafka", 9092, extra="kafka"),
    "kafka-secure": Protocol("kafka", "kafka", 9093, tls=True, extra="kafka"),
    "mqtt": Protocol("mqtt", "mqtt", 1883, extra="mqtt"),
    "mqtt5": Protocol("mqtt", "mqtt", 1883, extra="mqtt"),
    "mqtts": Protocol("mqtt", "mqtt", 8883, tls=True, extra="mqtt"),
    "secure-mqtt": Protocol("mqtt", "mqtt", 8883, tls=True, extra="mqtt"),
    "nats": Protocol("nats", "nats", 4222, extra="nats"),
    "nats-secure": Protocol("nats", "nats", 4222, tls=True, extra="nats"),
    "redis": Protocol("redis", "redis", 6379),
    "rediss": Protocol("redis", "redis", 6379, tls=True),
    "ws": Protocol("ws", "websocket", 80),
    "wss": Protocol("ws", "websocket", 443, tls=True),
}
"""By the name in a document or an address."""


def connector(protocol: Protocol) -> Connect:
    """Returns the function `connected` of the adapter. Imports it; call it on a thread.

    Raises:
        ExtraMissing: its library is not installed.
    """
    try:
        connect: Connect = import_module(_PACKAGE + protocol.module).connected
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("unspool"):
            raise
        raise ExtraMissing(protocol) from error
    return connect
