"""Opens the transports that the settings name."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Final

import aiohttp
import redis.asyncio

from unspool.eventstore.clock import SystemClock
from unspool.eventstore.port import EventStore
from unspool.eventstore.settings import BadSetting, from_environment
from unspool.executor.brokers.protocols import PROTOCOLS, Connect, connector
from unspool.executor.egress import AddressScope, EgressPolicy
from unspool.executor.limits.limits import Limits
from unspool.executor.outbound import Outbound, opened_outbound
from unspool.executor.secrets import LocalSecrets
from unspool.executor.settings import ExecutorSettings
from unspool.executor.transports.broker_address import BrokerAddress, broker_address
from unspool.executor.transports.broker_sink import BrokerSink
from unspool.executor.transports.broker_source import BrokerSource
from unspool.executor.transports.http_sink import HttpSink
from unspool.executor.transports.redis_streams import StreamAddress, connected_to, stream_address
from unspool.executor.transports.service import TransportService
from unspool.executor.transports.settings import TransportSettings
from unspool.executor.transports.sink import Sink, Source
from unspool.executor.transports.stream_sink import StreamSink
from unspool.executor.transports.stream_source import StreamSource

_SINK: Final = "UNSPOOL_EVENT_SINK_STREAM"
_SOURCES: Final = "UNSPOOL_EVENTS_STREAM"
_SINK_BROKER: Final = "UNSPOOL_EVENT_SINK_BROKER"
_SOURCE_BROKERS: Final = "UNSPOOL_EVENTS_BROKERS"


@asynccontextmanager
async def opened_transports(
    store: EventStore, url: str, environment: Mapping[str, str], name: str
) -> AsyncIterator[TransportService]:
    """The service with the sinks and streams of the settings. Their connections close with the context.

    Args:
        store: an open store.
        url: of the store, for streams on the same Redis.
        environment: holds the settings and secrets.
        name: of this process, unique.

    Raises:
        BadSetting: a setting is not valid.
    """
    settings = from_environment(TransportSettings, environment)
    lease = from_environment(ExecutorSettings, environment).lease_seconds
    async with AsyncExitStack() as stack:
        sinks: list[Sink] = []
        if settings.sink_url:
            secrets_dir = from_environment(ExecutorSettings, environment).secrets_dir
            secrets = LocalSecrets(environment, secrets_dir)
            session = await stack.enter_async_context(_session())
            sinks.append(HttpSink(session, settings, secrets, SystemClock()))
        sources = [stream_address(_SOURCES, text, url) for text in settings.source_streams.split()]
        if settings.sink_stream:
            address = stream_address(_SINK, settings.sink_stream, url)
            if address.place in {source.place for source in sources}:
                raise BadSetting(f"{_SINK} and {_SOURCES} name the same stream: its events would go round")
            client = await _client(stack, _SINK, address)
            sinks.append(StreamSink(client, address.key, settings.sink_stream_length))
        readers: list[Source] = [
            StreamSource(store, await _client(stack, _SOURCES, address), address, name, lease)
            for address in sources
        ]
        if settings.sink_broker or settings.source_brokers:
            outbound = await stack.enter_async_context(_outbound())
            read = [broker_address(_SOURCE_BROKERS, text) for text in settings.source_brokers.split()]
            readers += [BrokerSource(store, each, outbound, _adapter(each)) for each in read]
            if settings.sink_broker:
                to = broker_address(_SINK_BROKER, settings.sink_broker)
                if to.place in {each.place for each in read}:
                    raise BadSetting(f"{_SINK_BROKER} and {_SOURCE_BROKERS} name the same channel")
                sink = BrokerSink(to, outbound, _adapter(to))
                stack.push_async_callback(sink.close)
                sinks.append(sink)
        yield TransportService(store, sinks, settings, name, readers)


def _adapter(address: BrokerAddress) -> Callable[[], Connect]:
    return partial(connector, PROTOCOLS[address.server.protocol])


def _outbound() -> AbstractAsyncContextManager[Outbound]:
    """Connections to the brokers of the operator, which may be anywhere in private networks."""
    return opened_outbound(EgressPolicy(AddressScope.PRIVATE), Limits(ExecutorSettings(), None), 10)


async def _client(stack: AsyncExitStack, variable: str, address: StreamAddress) -> "redis.asyncio.Redis":
    client = connected_to(variable, address)
    stack.push_async_callback(client.aclose)
    return client


def _session() -> aiohttp.ClientSession:
    """A session that keeps no cookies and uses no proxy or `.netrc` of the environment."""
    return aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(), headers={"User-Agent": "unspool"}, trust_env=False
    )
