"""Opens the transports that the settings name. Only these load their libraries."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from unspool.eventstore.port import EventStore
from unspool.eventstore.settings import from_environment
from unspool.executor.settings import ExecutorSettings
from unspool.executor.transports.service import TransportService
from unspool.executor.transports.settings import TransportSettings
from unspool.executor.transports.sink import Sink, Source


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
    executor = from_environment(ExecutorSettings, environment)
    sinks: list[Sink] = []
    sources: list[Source] = []
    async with AsyncExitStack() as stack:
        if settings.sink_url:
            from unspool.executor.transports.http_opening import opened_http_sink  # noqa: PLC0415 - see above

            http_sink = opened_http_sink(settings, environment, executor.secrets_dir)
            sinks.append(await stack.enter_async_context(http_sink))
        if settings.sink_stream or settings.source_streams:
            from unspool.executor.transports.stream_opening import opened_streams  # noqa: PLC0415 - see above

            streams = opened_streams(store, url, settings, name, executor.lease_seconds)
            to, read = await stack.enter_async_context(streams)
            sinks += to
            sources += read
        if settings.sink_broker or settings.source_brokers:
            from unspool.executor.transports.broker_opening import opened_brokers  # noqa: PLC0415 - see above

            to, read = await stack.enter_async_context(opened_brokers(store, settings))
            sinks += to
            sources += read
        yield TransportService(store, sinks, settings, name, sources)
