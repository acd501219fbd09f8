"""Opens the transports that the settings name."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import aiohttp
import redis.asyncio

from unspool.eventstore.clock import SystemClock
from unspool.eventstore.port import EventStore
from unspool.eventstore.settings import BadSetting, from_environment
from unspool.executor.secrets import LocalSecrets
from unspool.executor.settings import ExecutorSettings
from unspool.executor.transports.http_sink import HttpSink
from unspool.executor.transports.redis_streams import StreamAddress, connected_to, stream_address
from unspool.executor.transports.service import TransportService
from unspool.executor.transports.settings import TransportSettings
from unspool.executor.transports.sink import Sink
from unspool.executor.transports.stream_sink import StreamSink
from unspool.executor.transports.stream_source import StreamSource

_SINK: Final = "UNSPOOL_EVENT_SINK_STREAM"
_SOURCES: Final = "UNSPOOL_EVENTS_STREAM"


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
        readers = [
            StreamSource(store, await _client(stack, _SOURCES, address), address, name) for address in sources
        ]
        yield TransportService(store, sinks, settings, name, readers)


async def _client(stack: AsyncExitStack, variable: str, address: StreamAddress) -> "redis.asyncio.Redis":
    client = connected_to(variable, address)
    stack.push_async_callback(client.aclose)
    return client


def _session() -> aiohttp.ClientSession:
    """A session that keeps no cookies and uses no proxy or `.netrc` of the environment."""
    return aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(), headers={"User-Agent": "unspool"}, trust_env=False
    )
