"""Opens the streams of Redis that events go to and come from."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import redis.asyncio

from unspool.eventstore.port import EventStore
from unspool.eventstore.settings import BadSetting
from unspool.executor.transports.redis_streams import StreamAddress, connected_to, stream_address
from unspool.executor.transports.settings import TransportSettings
from unspool.executor.transports.sink import Sink, Source
from unspool.executor.transports.stream_sink import StreamSink
from unspool.executor.transports.stream_source import StreamSource

_SINK: Final = "UNSPOOL_EVENT_SINK_STREAM"
_SOURCES: Final = "UNSPOOL_EVENTS_STREAM"


@asynccontextmanager
async def opened_streams(
    store: EventStore, url: str, settings: TransportSettings, name: str, lease_seconds: float
) -> AsyncIterator[tuple[list[Sink], list[Source]]]:
    """The sinks and sources of the settings. Their connections close with the context.

    Args:
        store: an open store.
        url: of the store, for streams on the same Redis.
        settings: name the streams.
        name: of this process, unique.
        lease_seconds: after this time an entry goes to another process.

    Raises:
        BadSetting: an address is not valid.
    """
    async with AsyncExitStack() as stack:
        sinks: list[Sink] = []
        sources = [stream_address(_SOURCES, text, url) for text in settings.source_streams.split()]
        if settings.sink_stream:
            address = stream_address(_SINK, settings.sink_stream, url)
            if address.place in {source.place for source in sources}:
                raise BadSetting(f"{_SINK} and {_SOURCES} name the same stream: its events would go round")
            client = await _client(stack, _SINK, address)
            sinks.append(StreamSink(client, address.key, settings.sink_stream_length))
        yield (
            sinks,
            [
                StreamSource(store, await _client(stack, _SOURCES, each), each, name, lease_seconds)
                for each in sources
            ],
        )


async def _client(stack: AsyncExitStack, variable: str, address: StreamAddress) -> "redis.asyncio.Redis":
    client = connected_to(variable, address)
    stack.push_async_callback(client.aclose)
    return client
