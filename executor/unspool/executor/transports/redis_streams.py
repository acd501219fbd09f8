"""Redis streams of others: their addresses in settings, and connections to them."""

from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from unspool.eventstore import ids
from unspool.eventstore.records import DEFAULT_TENANT
from unspool.eventstore.settings import BadSetting

DEFAULT_GROUP: Final = "unspool"
UNREACHABLE: Final = (RedisConnectionError, RedisTimeoutError, OSError)
"""Errors of a Redis that does not answer."""

_SCHEMES: Final = frozenset({"redis", "rediss"})
_OWN_KEYS: Final = "unspool:"
_CONNECT_SECONDS: Final = 5.0
_REPLY_SECONDS: Final = 10.0
"""More than a read may block."""


class StreamAddress(NamedTuple):
    """Where a stream is."""

    server: str
    """The URL of the Redis."""
    key: str
    group: str
    """The consumer group that reads it."""
    tenant: str
    """The tenant to which its events belong."""

    @property
    def place(self) -> tuple[str, str, str]:
        """The same for two addresses of one stream, however they are written."""
        split = urlsplit(self.server)
        host = f"{split.hostname or 'localhost'}:{split.port or 6379}"
        return host, split.path.strip("/") or "0", self.key


def stream_address(variable: str, text: str, store_url: str) -> StreamAddress:
    """Reads an address: the name of a stream on the store's Redis, or `redis://HOST:PORT/DB?stream=NAME`.

    The URL may also have the parameters `group` and `tenant`, and those of redis-py.

    Raises:
        BadSetting: it is not an address of a stream; names the variable.
    """
    if "://" in text:
        return _from_url(variable, text)
    if urlsplit(store_url).scheme not in _SCHEMES:
        raise BadSetting(
            f"{variable}={text} is a stream on the Redis of the store, but the store is not on Redis; "
            "write redis://HOST:PORT/DB?stream=NAME"
        )
    return _checked(variable, StreamAddress(store_url, text, DEFAULT_GROUP, DEFAULT_TENANT))


def connected_to(variable: str, address: StreamAddress) -> "redis.asyncio.Redis":
    """A client for a stream. It connects when it is used; the caller closes it.

    Raises:
        BadSetting: the URL has an unknown parameter; names the variable.
    """
    # Without retries of redis-py: the callers retry, and show that they do.
    options: dict[str, Any] = {
        "protocol": 2,
        "socket_connect_timeout": _CONNECT_SECONDS,
        "socket_timeout": _REPLY_SECONDS,
        "retry": Retry(NoBackoff(), 0),
    }
    try:
        client = redis.asyncio.Redis.from_url(address.server, **options)
        client.connection_pool.make_connection()  # type: ignore[no-untyped-call]  # checks the parameters
    except (ValueError, TypeError) as error:
        raise BadSetting(f"{variable} is not a URL of Redis: {error}") from None
    return client


def _from_url(variable: str, text: str) -> StreamAddress:
    try:
        split = urlsplit(text)
        _ = split.port
    except ValueError:
        raise BadSetting(f"{variable} is not a URL") from None
    database = split.path.strip("/")
    if split.scheme not in _SCHEMES or not split.hostname or not (database.isdigit() or not database):
        raise BadSetting(f"{variable} must be a name or redis://HOST:PORT/DB?stream=NAME")
    parameters = dict(parse_qsl(split.query, keep_blank_values=True))
    key = parameters.pop("stream", "")
    group = parameters.pop("group", DEFAULT_GROUP)
    tenant = parameters.pop("tenant", DEFAULT_TENANT)
    server = urlunsplit(split._replace(query=urlencode(parameters), fragment=""))
    return _checked(variable, StreamAddress(server, key, group, tenant))


def _checked(variable: str, address: StreamAddress) -> StreamAddress:
    if not address.key or not address.group:
        raise BadSetting(f"{variable} must name a stream: redis://HOST:PORT/DB?stream=NAME")
    if address.key.startswith(_OWN_KEYS):
        raise BadSetting(f"{variable} names {address.key}; keys that begin with {_OWN_KEYS} are of stores")
    if not ids.TENANT.fullmatch(address.tenant):
        raise BadSetting(f"{variable}: a tenant must match {ids.TENANT.pattern}")
    return address
